"""How much of what is wrong in a segmentation a reviewer finds by reviewing the doubtful slices.

    make demo-mr-head                                        # the model for "MR, another head"
    python Testing/bench/review_efficiency.py --write-mask   # and for "MR, ch2"
    gdla train Testing/bench/review_efficiency_models/ch2-train.yaml -o runs/review-ch2
    python Testing/bench/review_efficiency.py --docs

Every volume is real and has a reference mask. What is not there is left out, with a line that says
how to make it. ``--docs`` replaces the tables and the plot of docs/review.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from fresh import ROOT
from report import add_report_arguments, replace_table, table
from review_efficiency_curve import (
    by_doubt,
    correlation,
    curve,
    efficiency,
    share_within,
)
from review_efficiency_plot import Panel, drawn
from review_efficiency_signals import SHIPPED, combined, of_labels, of_probabilities, shipped
from review_efficiency_volumes import CANDIDATES, OTHER_HEAD, Candidate, head_mask

from GDLACore.engine import load_engine
from GDLACore.pipeline import prepare

PAGE = ROOT / "docs/review.md"
PICTURE = ROOT / "docs/review-efficiency.png"
MASK = ROOT / "build/bench/other-head-cerebrum.nii.gz"
SHARES = (0.1, 0.25, 0.5)


@dataclass(frozen=True, eq=False)
class Review:
    """The slices [n] of a volume that show anything, in stored order, found or in the reference.

    ``wrong`` counts their wrong voxels, ``signals`` are what may tell.
    """

    name: str
    held_out: bool
    wrong: np.ndarray
    signals: Mapping[str, np.ndarray]

    @property
    def orders(self) -> dict[str, np.ndarray]:
        """Return in which orders the slices may be reviewed."""
        return {
            "by doubt": by_doubt(self.signals[SHIPPED]),
            "as stored": np.arange(len(self.wrong)),
            "best possible": by_doubt(self.wrong),
        }


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    if arguments.write_mask:
        write_mask(MASK)
        return
    reviews = []
    for candidate in CANDIDATES:
        if candidate.is_there:
            reviews.append(review(candidate))
        else:
            print(f"{candidate.name} is left out: {candidate.recipe}")
    text = "\n".join([*_found(reviews), "", *_signals(reviews)])
    print(text)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(_result(reviews), indent=2) + "\n", encoding="utf-8")
    picture = PICTURE if arguments.docs else arguments.json.with_suffix(".png")
    drawn([_panel(one) for one in reviews if one.held_out]).save(picture, optimize=True)
    if arguments.docs:
        replace_table(PAGE, "review-efficiency", text)


def review(candidate: Candidate) -> Review:
    """Return what is wrong in the model's labels, and what might have told."""
    with load_engine(candidate.model, device="cpu") as engine:
        case = candidate.read(engine.card)
        prepared = prepare(case.volume, engine.card)
        labels, doubt = shipped(prepared, engine)
        signals = {SHIPPED: doubt, **of_probabilities(prepared, engine, case.known)}
    view = prepared.view
    every = slice(0, view.count)
    signals |= of_labels(view.take(labels, every))
    signals |= combined(signals)
    wrong = view.take(case.wrong(labels), every).sum(axis=(1, 2)).astype(float)
    seen = view.take((case.judged(labels) > 0) | (case.truth > 0), every).any(axis=(1, 2))
    kept = [index for index in case.slices if seen[index]]
    return Review(
        candidate.name,
        candidate.held_out,
        wrong[kept],
        {name: values[kept] for name, values in signals.items()},
    )


def write_mask(path: Path) -> None:
    """Write the other head's mask, which one of the models learns from."""
    image = SimpleITK.GetImageFromArray(head_mask()[1])
    image.CopyInformation(SimpleITK.ReadImage(str(OTHER_HEAD)))
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    print(path)


def _found(reviews: Sequence[Review]) -> list[str]:
    """Return the table of what has been found after so many slices."""
    header = ["volume", "slices", "wrong voxels", "rank correlation", "efficiency"]
    header += [f"in {100 * share:.0f} % of slices" for share in SHARES]
    rows = []
    for one in reviews:
        wrong, doubt = one.wrong, one.signals[SHIPPED]
        found = []
        for share in SHARES:
            shares = [share_within(wrong, order, share) for order in one.orders.values()]
            found.append(" / ".join(f"{100 * part:.0f}" for part in shares))
        rows.append(
            [
                one.name,
                str(len(wrong)),
                f"{wrong.sum():,.0f}",
                f"{correlation(wrong, doubt):.2f}",
                f"{efficiency(wrong, by_doubt(doubt)):.2f}",
                *found,
            ]
        )
    return table(header, rows)


def _signals(reviews: Sequence[Review]) -> list[str]:
    """Return the table of all signals that were tried, the best on average first."""
    scores = {
        name: [efficiency(one.wrong, by_doubt(one.signals[name])) for one in reviews]
        for name in reviews[0].signals
    }
    scores["as stored"] = [efficiency(one.wrong, np.arange(len(one.wrong))) for one in reviews]
    held_out = [number for number, one in enumerate(reviews) if one.held_out]

    def average(name: str) -> float:
        return float(np.mean([scores[name][number] for number in held_out]))

    rows = [
        [
            f"**{name}**" if name == SHIPPED else name,
            *(f"{score:.2f}" for score in scores[name]),
            f"{average(name):.2f}",
        ]
        for name in sorted(scores, key=average, reverse=True)
    ]
    return table(["order of review", *(one.name for one in reviews), "held out, mean"], rows)


def _panel(one: Review) -> Panel:
    curves = {name: curve(one.wrong, order).tolist() for name, order in one.orders.items()}
    curves["at random"] = np.linspace(0, 1, len(one.wrong) + 1).tolist()
    return Panel(f"{one.name}: {len(one.wrong)} slices", curves)


def _result(reviews: Sequence[Review]) -> dict[str, Any]:
    return {
        one.name: {
            "held out": one.held_out,
            "wrong voxels": one.wrong.tolist(),
            "signals": {
                name: {
                    "values": values.tolist(),
                    "rank correlation": correlation(one.wrong, values),
                    "efficiency": efficiency(one.wrong, by_doubt(values)),
                }
                for name, values in one.signals.items()
            },
            "curves": _panel(one).curves,
        }
        for one in reviews
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_report_arguments(parser, "review_efficiency")
    parser.add_argument("--write-mask", action="store_true", help=f"write {MASK.name} and stop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
