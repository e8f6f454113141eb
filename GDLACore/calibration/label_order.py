"""Whether the organs a network finds in a CT are those its card names.

Three label orders of the same eight abdominal organs circulate, and nothing in a checkpoint says
which is its own. What carries a label tells: its place among the others, its cross-section, and how
far it reaches along the body. An order is scored by the logarithm of how probable all of that is,
taken as independent and normally distributed; so are mirror images and exchanges of two labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from GDLACore.calibration.organ_measures import FoundOrgan, card_organs, found_organs
from GDLACore.calibration.organs import KNOWN_ORDERS, Organ
from GDLACore.model.card import ModelCard

PLAUSIBLE, ANOTHER_ORDER, MIRRORED = "plausible", "another order", "mirrored"
EXCHANGED, IMPLAUSIBLE, CANNOT_TELL = "exchanged", "implausible", "cannot tell"

FEWEST_ORGANS = 4

# The features are not independent, so more is asked for than odds of e to this power would need.
_CLEAR = 6.0
# Standard deviations: one organ that is cut off, diseased or missed must not decide alone.
_LARGEST_SURPRISE = 3.0
# Mean square of the surprises: 0.5 to 1 for true organs, above 3 for arbitrary shapes.
_IMPLAUSIBLE = 2.0


@dataclass(frozen=True)
class LabelOrderVerdict:
    """Whether the labels are what the card says.

    ``outcome``: PLAUSIBLE, ANOTHER_ORDER, MIRRORED (left and right), EXCHANGED (two labels),
    IMPLAUSIBLE or CANNOT_TELL. ``order`` names the known order that fits, None where none or more
    than one does or the card is about other structures. ``scores`` are those of the known orders.
    """

    outcome: str
    order: str | None
    sentence: str
    found: tuple[FoundOrgan, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class _Hypothesis:
    """What the label values might mean; ``mirrored`` where left and right are exchanged."""

    outcome: str
    organs: Mapping[int, Organ]
    mirrored: bool
    sentence: str

    @property
    def order(self) -> str | None:
        values = tuple(self.organs[value] for value in sorted(self.organs))
        complete = sorted(self.organs) == list(range(1, len(values) + 1))
        names = (name for name, order in KNOWN_ORDERS.items() if order == values)
        return next(names, None) if complete else None


@dataclass(frozen=True)
class _Fit:
    """How well a hypothesis explains what was found: higher ``score``, smaller ``surprise``."""

    hypothesis: _Hypothesis
    score: float
    surprise: float


def judge_labels(labels: np.ndarray, ijk_to_ras: np.ndarray, card: ModelCard) -> LabelOrderVerdict:
    """Return the verdict on ``labels`` [k, j, i], whose values are said to be those of ``card``.

    ``ijk_to_ras`` is 4x4, mm. Only structures that are one of the eight organs by terminology are
    judged. Which side is which is judged by the matrix, so it must be the patient's.
    """
    found = found_organs(labels, ijk_to_ras, card)
    if len(found) < FEWEST_ORGANS:
        return LabelOrderVerdict(CANNOT_TELL, None, _too_few(found), found, {})
    fits = [_fit(found, hypothesis) for hypothesis in _hypotheses(card)]
    scores = {
        fit.hypothesis.order: round(fit.score, 1)
        for fit in fits
        if fit.hypothesis.order and not fit.hypothesis.mirrored
    }
    own, best = fits[0], max(fits, key=lambda fit: fit.score)
    # What cannot be told from the card's own order is no reason to doubt it.
    if best.score - own.score < _CLEAR:
        best = own
    if best.surprise > _IMPLAUSIBLE:
        return LabelOrderVerdict(IMPLAUSIBLE, None, _NOTHING_FITS, found, scores)
    sentence = best.hypothesis.sentence
    if best is own:
        names = ", ".join(f"{organ.label.name} {organ.millilitres:.0f} mL" for organ in found)
        sentence += f" ({names})."
    order = best.hypothesis.order
    if best is not own and (alike := _alike(fits, best)):
        sentence += f" With what was found, {' and '.join(alike)}'s fits as well."
        order = None
    return LabelOrderVerdict(best.hypothesis.outcome, order, sentence, found, scores)


_NOTHING_FITS = (
    "The labels do not lie like organs in any known order: the network may be untrained, or its "
    "images turned or scaled in another way than it was taught."
)


def _too_few(found: Sequence[FoundOrgan]) -> str:
    names = ", ".join(organ.label.name for organ in found) or "none"
    return (
        f"Whether the label order is right cannot be told: {FEWEST_ORGANS} organs whose places are "
        f"known are needed, and {len(found)} were found ({names})."
    )


def _alike(fits: Sequence[_Fit], best: _Fit) -> list[str]:
    """Return the other known orders that cannot be told from the best one."""
    return [
        fit.hypothesis.order
        for fit in fits
        if fit is not best
        and fit.hypothesis.order
        and fit.hypothesis.mirrored == best.hypothesis.mirrored
        and best.score - fit.score < _CLEAR
    ]


def _hypotheses(card: ModelCard) -> Iterator[_Hypothesis]:
    """Yield what the labels might mean, the card's own view first."""
    own = card_organs(card)
    meanings = {"": own}
    for name, order in KNOWN_ORDERS.items():
        meant = dict(enumerate(order, start=1))
        if len(card.labels) == len(order) and set(own.values()) == set(order) and meant != own:
            meanings[name] = meant
    for name, organs in meanings.items():
        listed = ", ".join(f"{value} {organs[value].name}" for value in sorted(organs))
        another = f"The labels are in {name}'s order ({listed}), not in the card's."
        plain = another if name else "The organs lie where the card's label order says"
        mirrored = f"{another} {_MIRRORED}" if name else _MIRRORED
        yield _Hypothesis(ANOTHER_ORDER if name else PLAUSIBLE, organs, False, plain)
        yield _Hypothesis(MIRRORED, organs, True, mirrored)
    for first, second in combinations(own, 2):
        exchanged = {**own, first: own[second], second: own[first]}
        names = f"{card.labels[first - 1].name} and {card.labels[second - 1].name}"
        yield _Hypothesis(
            EXCHANGED, exchanged, False, f"{names} look exchanged in the card's label order."
        )


_MIRRORED = (
    "Left and right look exchanged: the image or the slice view is mirrored, or the patient is "
    "(situs inversus)."
)


def _fit(found: Sequence[FoundOrgan], hypothesis: _Hypothesis) -> _Fit:
    organs = [hypothesis.organs[one.label.value] for one in found]
    sign = np.array([-1.0 if hypothesis.mirrored else 1.0, 1.0, 1.0])
    expected = np.array([organ.position for organ in organs], np.float64)
    tolerance = np.array([organ.tolerance for organ in organs], np.float64)
    offsets = np.array([one.centroid for one in found]) * sign - expected
    # The place of the whole is free. The median, because one organ may be far from where it should.
    offsets -= np.median(offsets, axis=0)
    areas = [np.log(one.area / organ.area) for one, organ in zip(found, organs, strict=True)]
    reaches = [one.coverage - organ.coverage for one, organ in zip(found, organs, strict=True)]
    errors = np.column_stack([offsets, areas, reaches])
    deviations = np.column_stack(
        [
            tolerance,
            [np.log(organ.area_factor) for organ in organs],
            [organ.coverage_tolerance for organ in organs],
        ]
    )
    squares = np.minimum(np.square(errors / deviations), _LARGEST_SURPRISE**2)
    score = -0.5 * squares.sum() - np.log(deviations).sum()
    return _Fit(hypothesis, float(score), float(squares.mean()))
