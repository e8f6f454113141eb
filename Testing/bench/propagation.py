"""What correcting one slice gains in the slices beside it, by several methods.

    python Testing/bench/propagation.py --docs

On real volumes with reference masks. In the place of the user, one slice after the other is made
what the reference says; the network alone is what each method's labels of the neighbours are
compared with. The parameters of all methods were fixed on ``FIXED_ON``. Volumes and models are
those of review_efficiency.py, which tells how to make what is not there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from propagation_gains import gain, overlaps, summary  # noqa: E402
from propagation_methods import METHODS, SHIPPED  # noqa: E402
from propagation_subject import Subject, subject_of  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from review_efficiency_volumes import CANDIDATES, Candidate  # noqa: E402

PAGE = ROOT / "docs/review.md"
FIXED_ON = "CT, abdomen, learnt"
REACHES = (1, 2, 3, 5)  # neighbours on each side

Result = dict[str, Any]


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result: Result = heading(arguments, "propagation", PAGE)
    result["volumes"] = {}
    for candidate in CANDIDATES:
        if arguments.only and candidate.name not in arguments.only:
            continue
        if not candidate.is_there:
            print(f"{candidate.name} is left out: {candidate.recipe}", file=sys.stderr)
            continue
        result["volumes"][candidate.name] = _measured(candidate, arguments.edits)
    publish(arguments, result, _lines(result), PAGE)


def _measured(candidate: Candidate, edits: int) -> Result:
    subject = subject_of(candidate)
    count = len(subject.found)
    edited = range(0, count, -(-count // edits))
    gains: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, list[float]] = defaultdict(list)
    before = [
        overlaps(*pair, subject.known) for pair in zip(subject.found, subject.truth, strict=True)
    ]
    for corrected in edited:
        print(f"{candidate.name}: {corrected + 1} of {count}", file=sys.stderr)
        for name in METHODS:
            after = _after(name, subject, corrected, seconds[name])
            for reach in REACHES:
                near = [index for index in after if abs(index - corrected) <= reach]
                told = sum(before[index] for index in near), sum(after[index] for index in near)
                gains[name][reach].append(gain(*told))
    return {
        "held out": candidate.held_out,
        "slices": count,
        "edited": len(edited),
        "shape": list(subject.found.shape[1:]),
        "step_mm": subject.step,
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "gains": {
            name: {reach: asdict(summary(values)) for reach, values in one.items()}
            for name, one in gains.items()
        },
    }


def _after(name: str, subject: Subject, corrected: int, seconds: list[float]) -> dict[int, Any]:
    """Return the overlaps of the neighbours with the reference; add the processor time of each."""
    after = {}
    for side in (-1, 1):
        places = (corrected + side * distance for distance in range(1, max(REACHES) + 1))
        neighbours = [index for index in places if 0 <= index < len(subject.found)]
        start = time.process_time()  # of all threads: other work on the machine hardly shows
        found = list(METHODS[name](subject, corrected, neighbours))
        seconds.extend([(time.process_time() - start) / max(len(found), 1)] * len(found))
        for index, labels in zip(neighbours, found, strict=True):
            after[index] = overlaps(labels, subject.truth[index], subject.known)
    return after


def _lines(result: Result) -> list[str]:
    header = ["", *(f"± {reach}" for reach in REACHES), "worse", "worst", "CPU ms"]
    lines = []
    for volume, one in result["volumes"].items():
        rows = []
        for name, gains in one["gains"].items():
            cells = [_cell(gains[reach]) for reach in REACHES]
            shares = " / ".join(f"{100 * gains[reach]['worse']:.0f}" for reach in REACHES)
            worst = min(gains[reach]["worst"] for reach in REACHES)
            shown = f"**{name}**" if name == SHIPPED else name
            rows.append(
                [shown, *cells, f"{shares} %", f"{worst:+.3f}", f"{1e3 * one['seconds'][name]:.0f}"]
            )
        lines += [f"**{volume}**: {_about(volume, one)}.", "", *table(header, rows), ""]
    return lines


def _cell(gain: Result) -> str:
    return f"{gain['median']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"


def _about(volume: str, one: Result) -> str:
    shape = " x ".join(map(str, one["shape"]))
    seen = "not seen in training" if one["held out"] else "**seen in training**"
    fixed = "; the parameters were fixed here" if volume == FIXED_ON else ""
    return (
        f"{one['edited']} of {one['slices']} slices of {shape}, {one['step_mm']:.1f} mm apart, "
        f"{seen}{fixed}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--edits", type=int, default=40, help="at most so many slices of a volume")
    parser.add_argument("--only", action="append", help="the name of a volume; may be repeated")
    add_report_arguments(parser, "propagation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
