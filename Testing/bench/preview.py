"""From a scrolled slice to its preview on the screen, and what it costs the window.

    python Testing/bench/preview.py --docs

Beside it the same slice as the module segmented it before: a run of one slice for every scroll,
into a segmentation. The views draw on the processor here: a graphics card draws faster.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from fresh import ROOT, run_fresh
from report import add_report_arguments, heading, publish, table
from rounds import percentile

PAGE = ROOT / "docs/review.md"


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "preview", PAGE)
    result |= run_fresh(
        "preview_run.py",
        *("--model", arguments.model, "--depth", arguments.depth, "--scrolls", arguments.scrolls),
    )
    publish(arguments, result, _lines(result), PAGE)


def _lines(result: dict[str, Any]) -> list[str]:
    settings, stale = result["settings"], result["stale"]
    rows = [
        [name, *(f"{1e3 * number:.0f}" for number in _middle_and_slow(case["latency"]))]
        for name, case in result["cases"].items()
    ]
    window = [
        [
            name,
            *(f"{1e3 * number:.1f}" for number in _middle_and_slow(case["processor"])),
            *(
                f"{1e3 * number:.1f}"
                for number in (*_middle_and_slow(case["clock"]), max(case["clock"]))
            ),
        ]
        for name, case in result["window"].items()
    ]
    what = f"`{settings['model']}`, CT of 512 x 512 x {settings['depth']} (int16)"
    return [
        f"{what}, {result['device']}; three slice views of 600 x 600 pixels; "
        f"{settings['scrolls']} scrolls each:",
        "",
        *table(["from the scroll to the picture with its labels, ms", "median", "95 %"], rows),
        "",
        "What the window's own thread does, by its processor time and by the clock:",
        "",
        *table(
            ["ms", "processor, median", "95 %", "clock, median", "95 %", "longest"],
            window,
        ),
        "",
        f"{stale['scrolls']} random scrolls, looked at {stale['looks']} times at any moment: the "
        f"overlay was that of the view's slice {stale['right']} times, empty "
        f"{stale['empty']} times, and of another slice {stale['wrong']} times.",
    ]


def _middle_and_slow(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), percentile(times, 95)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="a name of the catalogue")
    parser.add_argument("--depth", type=int, default=300, help="number of slices")
    parser.add_argument("--scrolls", type=int, default=60)
    add_report_arguments(parser, "preview")
    return parser.parse_args()


if __name__ == "__main__":
    main()
