"""How long Slicer's window stands still while the module works.

    python Testing/bench/window.py --docs

The panel, its timer and the worker are the real ones. The window is the stand-in that the tests of
the panel use: Qt, Slicer's scene, and widgets in Python that are slower than Slicer's in C++.
"""

from __future__ import annotations

import argparse
from typing import Any

from fresh import run_fresh
from report import add_report_arguments, heading, publish, table


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "window")
    rounds = [
        run_fresh("window_run.py", "--depth", arguments.depth) for _ in range(arguments.rounds)
    ]
    result |= {
        "cases": {
            name: _worst([one["cases"][name] for one in rounds]) for name in rounds[0]["cases"]
        },
        "device": rounds[0]["device"],
    }
    publish(arguments, result, _lines(result))


def _worst(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the longest of all rounds, and how often the window stood still in the worst."""
    return {
        name: max(run[name] for run in runs) for name in ("longest", "work", "felt", "turns")
    } | {"slowest": max(runs, key=lambda run: run["work"])["slowest"]}


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    rows = [
        [
            name,
            f"{1e3 * case['longest']:.0f}",
            f"{1e3 * case['work']:.0f}",
            f"{case['felt']} of {case['turns']}",
        ]
        for name, case in result["cases"].items()
    ]
    header = ["while", "longest stretch, ms", "of work, ms", "stretches over 50 ms"]
    return [
        f"`demo-ct` on {result['device']}, CT of 512 x 512 x {settings['depth']} (int16); the "
        f"longest of {settings['rounds']} rounds:",
        "",
        *table(header, rows),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=300, help="number of slices")
    parser.add_argument("--rounds", type=int, default=3)
    add_report_arguments(parser, "window")
    return parser.parse_args()


if __name__ == "__main__":
    main()
