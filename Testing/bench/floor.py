"""The network's time beside the least this machine could need for it.

    python Testing/bench/floor.py --model golden-b2 --engines onnx

The least is the number of its multiply-adds, at the rate of the fastest product of two float32
matrices that numpy, PyTorch or ONNX Runtime makes here: measured in the same process, with the same
number of threads, in turns with the network itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engines import ENGINES, ONNX  # noqa: E402
from fresh import run_fresh  # noqa: E402
from models import GOLDEN, model_file  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

TARGET = "Target: the network within 1.35 of its floor."


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"floor {arguments.model}")
    model_file(arguments.model)
    threads = str(arguments.threads)
    result |= run_fresh(
        "floor_run.py",
        *("--model", arguments.model, "--engines", *arguments.engines),
        *("--slices", arguments.slices, "--rounds", arguments.rounds, "--threads", threads),
        OMP_NUM_THREADS=threads,
        OPENBLAS_NUM_THREADS=threads,
        MKL_NUM_THREADS=threads,
    )
    publish(arguments, result, _lines(result))


def _lines(result: dict[str, Any]) -> list[str]:
    settings, macs = result["settings"], result["multiply_adds"]
    rates = result["gigamacs_per_second"]
    best = max(rates, key=rates.__getitem__)
    floor = sum(macs.values()) / 1e9 / rates[best]
    rows = [
        [
            f"{name}, {facts['device']}",
            f"{1e3 * facts['network_seconds']:.1f}",
            f"{facts['network_seconds'] / floor:.2f}",
        ]
        for name, facts in result["engines"].items()
    ]
    parts = ", ".join(f"{part} {value / 1e9:.3f}" for part, value in macs.items())
    return [
        f"`{settings['model']}` at {result['size']} x {result['size']}, per slice of "
        f"{settings['slices']}, on {settings['threads']} of the machine's cores; median of "
        f"{settings['rounds']} rounds:",
        "",
        f"- multiply-adds: {sum(macs.values()) / 1e9:.3f} G ({parts})",
        f"- fastest matrix product: {rates[best]:.1f} G a second ({best})",
        f"- floor: {1e3 * floor:.1f} ms",
        "",
        *table(["", "network, ms", "of the floor"], rows),
        "",
        "Matrix products, in G multiply-adds a second:",
        "",
        *_rate_table(rates),
        "",
        TARGET,
    ]


def _rate_table(rates: dict[str, float]) -> list[str]:
    """Return the rates, named "library shape", with a row for each shape."""
    libraries = list(dict.fromkeys(name.partition(" ")[0] for name in rates))
    shapes = list(dict.fromkeys(name.partition(" ")[2] for name in rates))
    return table(
        ["", *libraries],
        [[shape, *(f"{rates[f'{lib} {shape}']:.1f}" for lib in libraries)] for shape in shapes],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=GOLDEN, help=f"{GOLDEN}, demo-ct or a model file")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[ONNX])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--slices", type=int, default=16, help="best a multiple of the threads")
    parser.add_argument("--rounds", type=int, default=15)
    add_report_arguments(parser, "floor")
    return parser.parse_args()


if __name__ == "__main__":
    main()
