"""How the start and the result of a fine-tuning do on the held-out slices, and which is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from GDLACore.engine.protocol import Engine
from GDLACore.evaluation.intervals import Mean, Measurement, mean_of
from GDLACore.evaluation.scores import Scores, score
from GDLACore.finetuning.cases import ReviewedCase
from GDLACore.imaging.view import slice_view
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.training.cases import IGNORED

MEAN = "mean"
# Less, over all held-out cases, is noise at the borders of other structures.
FALSE_ML = 5.0


@dataclass(frozen=True)
class Finding:
    """What a model made of one structure of one held-out case."""

    case: str
    patient: str
    structure: str
    scores: Scores


@dataclass(frozen=True)
class Change:
    """The Dice of one structure, or the mean over all, before and after fine-tuning.

    ``start``, ``result`` and ``difference`` are over the cases whose reference holds the structure,
    with intervals where these are of three patients or more; None if there is no such case.
    ``false_ml`` is the volume found, before and after, in cases whose reference has none of it.
    """

    structure: str
    start: Mean | None
    result: Mean | None
    difference: Mean | None
    false_ml: tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """All changes, the mean last, and the sentence that refuses the result: "" if it is no worse.

    ``lost`` are the structures whose Dice fell by more than the tolerance, ``flooded`` those found
    where there are none, by more than FALSE_ML and more than twice as much as before.
    """

    changes: tuple[Change, ...]
    lost: tuple[str, ...]
    flooded: tuple[str, ...]
    refusal: str

    @property
    def mean(self) -> Change:
        return self.changes[-1]

    def unjudged(self, names: Iterable[str]) -> list[str]:
        """Return those structures of ``names`` that no held-out case shows."""
        judged = {change.structure for change in self.changes if change.difference is not None}
        return [name for name in names if name not in judged]


def findings(engine: Engine, cases: Iterable[ReviewedCase]) -> list[Finding]:
    """Return what the model of ``engine`` makes of every known structure of ``cases``.

    Measured on the native grid with the borders that users get; only annotated voxels count.
    Raises VolumeError if a case does not suit the model.
    """
    card, found = engine.card, []
    for case in cases:
        volume, classes = case.read(tuple(label.name for label in card.labels))
        ignored = classes == IGNORED
        axis = slice_view(volume, card.slice_axis, card.view).axes[0]
        counted = np.flatnonzero((~ignored).any(axis=tuple({0, 1, 2} - {axis})))
        span = range(int(counted[0]), int(counted[-1]) + 1)
        labels = segment_volume(volume, engine, SegmentOptions(slices=span))
        for label in card.labels:
            if label.name not in case.unknown:
                scores = score(
                    labels == label.value,
                    classes == label.value,
                    volume.spacing[::-1],
                    voxel_ml=volume.voxel_volume_ml,
                    ignored=ignored,
                )
                found.append(Finding(case.id, case.patient, label.name, scores))
    return found


def judged(start: Sequence[Finding], result: Sequence[Finding], tolerance: float) -> Verdict:
    """Return the verdict on ``result``, the findings in the same cases as ``start``.

    It is refused if the mean Dice is lower than at the start, or that of a structure by more than
    ``tolerance``, or if much more of a structure is found where the reference has none.
    """
    names = list(dict.fromkeys(finding.structure for finding in start))
    changes = [_change(name, {name}, start, result) for name in names]
    mean = _change(MEAN, set(names), start, result)
    lost = tuple(
        change.structure
        for change in changes
        if change.difference is not None and change.difference.value < -tolerance
    )
    flooded = tuple(change.structure for change in changes if _is_flood(*change.false_ml))
    refusal = _refusal(mean, lost, flooded, tolerance)
    return Verdict((*changes, mean), lost, flooded, refusal)


def _is_flood(before: float, after: float) -> bool:
    return after - before > FALSE_ML and after > 2 * before


def _refusal(
    mean: Change, lost: tuple[str, ...], flooded: tuple[str, ...], tolerance: float
) -> str:
    if mean.start is None or mean.result is None:
        return "The held-out cases hold none of the structures."
    if mean.result.value < mean.start.value:
        return (
            f"The mean Dice on what was held out fell from {mean.start.value:.4f} to "
            f"{mean.result.value:.4f}."
        )
    if lost:
        return f"The Dice of {', '.join(lost)} fell by more than {tolerance:g}."
    if flooded:
        return (
            f"Where the reference has none, more than twice as much {', '.join(flooded)} is found "
            f"as before, and more than {FALSE_ML:g} mL more."
        )
    return ""


def _change(
    name: str, structures: set[str], start: Sequence[Finding], result: Sequence[Finding]
) -> Change:
    before, after, differences, false = [], [], [], [0.0, 0.0]
    for old, new in zip(start, result, strict=True):
        if old.structure not in structures:
            continue
        if not old.scores.reference_ml:
            false = [false[0] + old.scores.prediction_ml, false[1] + new.scores.prediction_ml]
            continue
        for values, value in (
            (before, old.scores.dice),
            (after, new.scores.dice),
            (differences, new.scores.dice - old.scores.dice),
        ):
            values.append(Measurement(old.patient, old.structure, value))
    return Change(name, mean_of(before), mean_of(after), mean_of(differences), (false[0], false[1]))
