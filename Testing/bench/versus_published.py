"""Our engines beside the published way, on the same CT and with the same weights.

    python Testing/bench/versus_published.py --model golden-b2 --engines onnx torch

Counted is the time from the volume in memory (int16) to its labels in memory, by a model that is
loaded and warm; reading and writing are the same for all. Every run is a process of its own, and
the contenders take turns; the medians of the rounds are compared, and the labels. Before anything
is measured the published way must give the authors' own logits.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from engines import ENGINES, ONNX  # noqa: E402
from fresh import run_fresh  # noqa: E402
from label_agreement import agreement  # noqa: E402
from models import GOLDEN, model_file  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from rounds import round_robin  # noqa: E402
from scan import write_nrrd  # noqa: E402

PUBLISHED = "published"
TARGETS = (
    "Targets: 0.45 of the time in fp32; 0.25 in the fastest precision that gives 99.9 % of the "
    "voxels the same label; 0.5 of the memory."
)


def main() -> None:
    """Check, measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"versus-published {arguments.model}")
    model_file(arguments.model)  # written now, if it must be, and not in the first run
    run_fresh("published_way.py")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_nrrd(folder / "ct.nrrd", arguments.slices)
        contenders = {
            contender: lambda contender=contender: _run(arguments, contender, folder)
            for contender in (PUBLISHED, *arguments.engines)
        }
        runs = round_robin(contenders, arguments.rounds)
        labels = {name: np.load(folder / f"{name}.npy") for name in contenders}
    result["contenders"] = {
        name: _summary(runs[name], runs[PUBLISHED]) | agreement(labels[name], labels[PUBLISHED])
        for name in contenders
    }
    publish(arguments, result, _lines(result))


def _run(arguments: argparse.Namespace, contender: str, folder: Path) -> dict[str, Any]:
    print(contender, file=sys.stderr)
    return run_fresh(
        "versus_published_run.py",
        *("--contender", contender, "--model", arguments.model, "--borders", arguments.borders),
        *("--nrrd", folder / "ct.nrrd", "--labels", folder / f"{contender}.npy"),
    )


def _summary(runs: list[dict[str, Any]], published: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians, and how they compare with the published way's in the same round."""
    names = ("seconds", "loaded_mebibytes", "peak_mebibytes")
    stages = {
        stage: statistics.median(run["stages"][stage] for run in runs)
        for stage in runs[0]["stages"]
    }
    return {
        "device": runs[0]["device"],
        **{name: statistics.median(run[name] for run in runs) for name in names},
        "stages": stages,
        "time_ratio": _median_ratio(runs, published, "seconds"),
        "memory_ratio": _median_ratio(runs, published, "peak_mebibytes"),
    }


def _median_ratio(runs: list[dict[str, Any]], others: list[dict[str, Any]], name: str) -> float:
    return statistics.median(
        run[name] / other[name] for run, other in zip(runs, others, strict=True)
    )


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    count = settings["slices"]
    header = ["", "ms per slice", "of the published time", "largest memory, MiB"]
    header += ["of the published memory", "same labels", "same, of structures"]
    rows = [
        [
            f"{name}, {facts['device']}",
            f"{1e3 * facts['seconds'] / count:.1f}",
            f"{facts['time_ratio']:.3f}",
            f"{facts['peak_mebibytes']:.0f}",
            f"{facts['memory_ratio']:.2f}",
            f"{facts['same_labels']:.4%}",
            f"{facts['same_structures']:.4%}",
        ]
        for name, facts in result["contenders"].items()
    ]
    stages = result["contenders"][PUBLISHED]["stages"]
    parts = ", ".join(f"{name} {1e3 * s / count:.1f}" for name, s in stages.items())
    return [
        f"`{settings['model']}`, CT of 512 x 512 x {count} (int16), {settings['borders']} borders, "
        f"median of {settings['rounds']} rounds:",
        "",
        *table(header, rows),
        "",
        f"The published way, in ms per slice: {parts}.",
        TARGETS,
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=GOLDEN, help=f"{GOLDEN}, demo-ct or a model file")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[ONNX])
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--borders", choices=("published", "smooth"), default="published")
    parser.add_argument("--rounds", type=int, default=3)
    add_report_arguments(parser, "versus_published")
    return parser.parse_args()


if __name__ == "__main__":
    main()
