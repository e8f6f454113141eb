"""How far a corrected slice still helps: what ships, by the distance in mm.

    python Testing/bench/propagation_reach.py --docs

As propagation.py, for the shipped method alone and farther than the panel goes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from propagation_gains import gain, overlaps  # noqa: E402
from propagation_methods import METHODS, SHIPPED  # noqa: E402
from propagation_subject import Subject, subject_of  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from review_efficiency_volumes import CANDIDATES  # noqa: E402

PAGE = ROOT / "docs/review.md"
BANDS = ((0, 7.5), (7.5, 15), (15, 22.5), (22.5, 30))  # mm, the end included
_AT_LEAST = 2.5  # mm from one neighbour that is looked at to the next


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result: dict[str, Any] = heading(arguments, "propagation-reach", PAGE)
    result["volumes"] = {}
    for candidate in CANDIDATES:
        if candidate.is_there:
            print(candidate.name, file=sys.stderr)
            result["volumes"][candidate.name] = _bands(subject_of(candidate), arguments.edits)
        else:
            print(f"{candidate.name} is left out: {candidate.recipe}", file=sys.stderr)
    publish(arguments, result, _lines(result), PAGE)


def _bands(subject: Subject, edits: int) -> list[list[float]]:
    """Return the gains of the corrected slices in each band."""
    count, bands = len(subject.found), [[] for _ in BANDS]
    every = -(-count // edits)
    for corrected in range(every // 2, count, every):
        told = _told(subject, corrected)
        for band, (low, high) in zip(bands, BANDS, strict=True):
            near = [one for distance, one in told if low < distance <= high]
            if near:
                before, after = (sum(part) for part in zip(*near, strict=True))
                band.append(gain(before, after))
    return bands


def _told(subject: Subject, corrected: int) -> list[tuple[float, tuple[Any, Any]]]:
    """Return the neighbours' distances in mm, and their overlaps before and after."""
    told = []
    every = max(1, round(_AT_LEAST / subject.step))
    for side in (-1, 1):
        distances = range(1, int(BANDS[-1][1] / subject.step) + 1, every)
        places = (corrected + side * distance for distance in distances)
        near = [index for index in places if 0 <= index < len(subject.found)]
        for index, labels in zip(near, METHODS[SHIPPED](subject, corrected, near), strict=True):
            pair = tuple(
                overlaps(one, subject.truth[index], subject.known)
                for one in (subject.found[index], labels)
            )
            told.append((subject.step * abs(index - corrected), pair))
    return told


def _lines(result: dict[str, Any]) -> list[str]:
    header = ["", *(f"{low:g} to {high:g} mm" for low, high in BANDS)]
    rows = [[name, *map(_cell, bands)] for name, bands in result["volumes"].items()]
    return table(header, rows)


def _cell(gains: list[float]) -> str:
    if not gains:
        return "-"
    worse = sum(one < 0 for one in gains) / len(gains)
    return f"{statistics.median(gains):+.3f}, worse {100 * worse:.0f} %, worst {min(gains):+.4f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--edits", type=int, default=8, help="about so many slices of a volume")
    add_report_arguments(parser, "propagation_reach")
    return parser.parse_args()


if __name__ == "__main__":
    main()
