"""How long a user waits for the first slice, and for each one after it.

    python Testing/bench/startup.py --model demo-ct

Each start is a process of its own, the engines taking turns; the files come from memory, as they do
when a program was used before. A request is one CT slice of 512 x 512, from its values to labels.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from engines import ENGINES  # noqa: E402
from fresh import run_fresh  # noqa: E402
from models import model_file  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from rounds import round_robin  # noqa: E402

from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"startup {arguments.model}")
    model_file(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slice.npy"
        sample = read_volume(resource_path("samples", "ct-abdomen-dicom")).array
        np.save(path, sample[len(sample) // 2][None])
        starts = {
            name: lambda name=name: _start(arguments, name, path) for name in arguments.engines
        }
        round_robin(starts, 1)  # brings all files into memory
        runs = round_robin(starts, arguments.rounds)
    result["engines"] = {
        name: {
            "device": starts[0]["device"],
            "torch_imported": starts[0]["torch_imported"],
            "stages": _medians([start["stages"] for start in starts]),
            "request": _medians([start["request"] for start in starts]),
        }
        for name, starts in runs.items()
    }
    publish(arguments, result, _lines(result))


def _start(arguments: argparse.Namespace, engine: str, path: Path) -> dict[str, Any]:
    return run_fresh(
        "startup_run.py",
        *("--engine", engine, "--model", arguments.model, "--slice", path),
        *("--requests", arguments.requests, "--spawned", time.monotonic()),
    )


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _lines(result: dict[str, Any]) -> list[str]:
    settings, engines = result["settings"], result["engines"]
    names = [
        f"{name}, {'with' if facts['torch_imported'] else 'without'} PyTorch"
        for name, facts in engines.items()
    ]
    stages = next(iter(engines.values()))["stages"]
    rows = [[stage, *(_ms(e["stages"][stage]) for e in engines.values())] for stage in stages]
    rows.append(["warm request", *(_ms(e["request"]["median"]) for e in engines.values())])
    rows.append(["its 95th percentile", *(_ms(e["request"]["p95"]) for e in engines.values())])
    return [
        f"`{settings['model']}`, one slice of 512 x 512, in ms; median of {settings['rounds']} "
        f"starts and of {settings['requests']} requests in each:",
        "",
        *table(["", *names], rows),
    ]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}" if seconds else "-"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="golden-b2, demo-ct or a model file")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=30)
    add_report_arguments(parser, "startup")
    return parser.parse_args()


if __name__ == "__main__":
    main()
