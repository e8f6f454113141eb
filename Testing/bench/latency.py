"""From a click to slices on the screen: the whole way through the worker and into the scene.

    python Testing/bench/latency.py --docs

Beside it the same computation as a program would do it that has nothing else to do: the pipeline
called in one process. What lies between is what the extension's process, files and scene cost.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from fresh import run_fresh
from report import add_report_arguments, heading, publish, table


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "latency")
    measured = run_fresh(
        "latency_run.py",
        *("--model", arguments.model, "--depth", arguments.depth, "--rounds", arguments.rounds),
    )
    result |= {
        "cases": {name: _summary(runs) for name, runs in measured["cases"].items()},
        "device": measured["device"],
    }
    publish(arguments, result, _lines(result))


def _summary(runs: list[dict[str, float]]) -> dict[str, float]:
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {**medians, "longest": max(run["longest"] for run in runs)}


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    rows = [
        [
            name,
            f"{case['first']:.2f}",
            f"{case['all']:.2f}",
            f"{case['alone']:.2f}" if case["alone"] else "-",
            f"{case['all'] - case['alone']:.2f}" if case["alone"] else "-",
            f"{1e3 * case['longest']:.0f}",
            f"{1e3 * case['busy']:.0f}",
        ]
        for name, case in result["cases"].items()
    ]
    header = [
        "click",
        "first slice in the node, s",
        "all, s",
        "pipeline alone, s",
        "overhead, s",
        "longest update, ms",
        "all updates, ms",
    ]
    return [
        f"`{settings['model']}`, CT of 512 x 512 x {settings['depth']} (int16); medians of "
        f"{settings['rounds']} rounds, but the longest update of all rounds:",
        "",
        *table(header, rows),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="a name of the catalogue")
    parser.add_argument("--depth", type=int, default=300, help="number of slices")
    parser.add_argument("--rounds", type=int, default=3)
    add_report_arguments(parser, "latency")
    return parser.parse_args()


if __name__ == "__main__":
    main()
