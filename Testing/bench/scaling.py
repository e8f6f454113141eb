"""How time and memory grow with the image: GDLA beside the mixers the paper compares it with.

    python Testing/bench/scaling.py

The decoder's three blocks alone (64, 128 and 320 channels at strides 4, 8 and 16) and whole
networks on the PVTv2-b2 encoder, in PyTorch, float32, one image at a time, random weights. Each
measurement is a process of its own; at each size all mixers take their turn before the next size.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fresh import run_fresh  # noqa: E402
from memory import available_mebibytes  # noqa: E402
from power_law import exponent  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

from GDLACore.model.card import MIXERS  # noqa: E402

PARTS = ("decoder", "network")
SIZES = (224, 384, 512, 768, 1024)

# Of what is free, so that no estimate ever makes the machine swap.
_USABLE = 0.8
_FINEST_STRIDE, _FINEST_HEADS = 4, 2

TARGET = "Target: the time of GDLA's decoder grows as pixels^1.0."


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "scaling")
    result["cells"] = [
        {"part": part, "mixer": mixer, "size": size, **_cell(arguments, part, mixer, size)}
        for size in arguments.sizes
        for part in PARTS
        for mixer in arguments.mixers
    ]
    publish(arguments, result, _lines(result))


def _cell(arguments: argparse.Namespace, part: str, mixer: str, size: int) -> dict[str, Any]:
    """Return a measurement, or why there is none."""
    needed, free = _needed_mebibytes(mixer, size), available_mebibytes()
    if needed > _USABLE * free:
        return {"skipped": f"needs {needed / 1024:.0f} GiB"}
    print(f"{part}, {mixer}, {size}", file=sys.stderr)
    return run_fresh(
        "scaling_run.py",
        *("--part", part, "--mixer", mixer, "--size", size),
        *("--encoder", arguments.encoder, "--seconds", arguments.seconds),
    )


def _needed_mebibytes(mixer: str, size: int) -> float:
    """Return what a mixer needs that stores whole attention maps: two copies, at stride 4.

    Softmax attention never stores its maps, for PyTorch computes it in tiles. With values wider
    than queries, as in differential attention, it cannot do so on a CPU.
    """
    if mixer != "differential":
        return 0.0
    tokens = (size // _FINEST_STRIDE) ** 2
    return 2 * (2 * _FINEST_HEADS) * tokens**2 * 4 / 2**20


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    lines = []
    for part in PARTS:
        title = "Decoder blocks" if part == "decoder" else f"Network (PVTv2-{settings['encoder']})"
        for field, what in (("seconds", "ms"), ("mebibytes", "MiB above the weights")):
            cells = {
                (cell["mixer"], cell["size"]): cell
                for cell in result["cells"]
                if cell["part"] == part
            }
            lines += [f"{title}, {what}:", "", *_table(settings, cells, field), ""]
    return [*lines, TARGET]


def _table(
    settings: dict[str, Any], cells: dict[tuple[str, int], dict[str, Any]], field: str
) -> list[str]:
    scale = 1e3 if field == "seconds" else 1.0
    rows = []
    for mixer in settings["mixers"]:
        row = [mixer]
        for size in settings["sizes"]:
            cell = cells[mixer, size]
            row.append(cell.get("skipped") or f"{scale * cell[field]:.0f}")
        if field == "seconds":
            measured = {
                size: cells[mixer, size]["seconds"]
                for size in settings["sizes"]
                if "seconds" in cells[mixer, size]
            }
            grows = exponent(measured)
            row.append("-" if math.isnan(grows) else f"pixels^{grows:.2f}")
        rows.append(row)
    growth = ["grows as"] if field == "seconds" else []
    return table(["", *map(str, settings["sizes"]), *growth], rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--mixers", nargs="+", choices=MIXERS, default=MIXERS)
    parser.add_argument("--encoder", default="b2")
    parser.add_argument("--seconds", type=float, default=6.0, help="to spend on each measurement")
    add_report_arguments(parser, "scaling")
    return parser.parse_args()


if __name__ == "__main__":
    main()
