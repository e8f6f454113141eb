"""The scores of a split of a dataset: image by image, structure by structure, and their means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import EvaluationError
from GDLACore.evaluation.intervals import Mean, Measurement, mean_of
from GDLACore.evaluation.scores import (
    DEFAULT_TOLERANCE,
    OUTCOMES,
    PaperScores,
    Scores,
    paper_score,
    score,
)
from GDLACore.evaluation.worst import Picture, Worst
from GDLACore.imaging.view import check_slices, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import Progress
from GDLACore.training.cases import IGNORED, Case

if TYPE_CHECKING:
    from GDLACore.training.dataset import Dataset

# From a case, its image and what is asked for (slices, borders) to class indices [k, j, i]: 1 is
# the dataset's first structure. Predictions of other structures are 0.
Predict = Callable[[Case, Volume, SegmentOptions], np.ndarray]

SPLITS = ("test", "validation", "training")
PROTOCOLS = ("native", "paper")

MILLIMETRES, VOXELS = "mm", "voxels"

# What has a mean: the fields of Scores and PaperScores that measure agreement.
MEASURES = ("dice", "hd95", "nsd", "assd", "volume_difference_ml", "volume_difference_percent")
PAPER_MEASURES = ("dice", "hd95_voxels")


@dataclass(frozen=True)
class Row:
    """One structure of one image. ``unit`` is that of its lengths: "mm", or "voxels".

    ``paper``: None unless the evaluation followed the paper's protocol too.
    """

    case: str
    patient: str
    structure: str
    unit: str
    scores: Scores
    paper: PaperScores | None = None


@dataclass(frozen=True)
class Summary:
    """A structure's rows, or those of all structures, in numbers.

    ``outcomes`` counts the images by "found", "missed", "false" and "absent". ``means`` and
    ``paper_means`` hold, for every measure (``MEASURES``, ``PAPER_MEASURES``), its mean over the
    images where it is defined, None if there are none.
    """

    structure: str
    outcomes: Mapping[str, int]
    means: Mapping[str, Mean | None]
    paper_means: Mapping[str, Mean | None]


@dataclass(frozen=True)
class Evaluation:
    """The scores of one split. ``tolerances``: of the normalised surface distance, by structure.

    ``worst``: the slices with most wrong voxels of the images with the lowest Dice.
    """

    split: str
    protocol: str
    structures: tuple[str, ...]
    tolerances: Mapping[str, float]
    rows: tuple[Row, ...]
    worst: tuple[Picture, ...]

    def summary(self) -> tuple[Summary, ...]:
        """Return a summary of each structure, in order."""
        return tuple(
            self._summary(name, [row for row in self.rows if row.structure == name])
            for name in self.structures
        )

    def overall(self) -> Summary:
        """Return the summary of all structures: means are over structures of their means."""
        return self._summary("All structures", self.rows)

    def _summary(self, name: str, rows: Sequence[Row]) -> Summary:
        paper = [] if self.protocol == "native" else PAPER_MEASURES
        return Summary(
            structure=name,
            outcomes={o: sum(row.scores.outcome == o for row in rows) for o in OUTCOMES},
            means={measure: _mean(rows, "scores", measure) for measure in MEASURES},
            paper_means={measure: _mean(rows, "paper", measure) for measure in paper},
        )


def evaluate_cases(
    dataset: Dataset,
    split: str,
    predict: Predict,
    *,
    protocol: str = "native",
    tolerances: Mapping[str, float] | None = None,
    slice_axis: str = "axial",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Evaluation:
    """Score ``predict`` on the cases of ``split`` ("test", "validation" or "training"), one by one.

    Scored are the dataset's structures (not its auxiliary ones) that a case is not ``unknown``
    for. Voxels nobody annotated count nowhere; of the validation cases only the validation slices
    count, and of the training cases only the slices that are learnt from, across ``slice_axis``
    (a card's). ``tolerances`` of the normalised surface distance by structure, 2 where not given,
    in mm, or in voxels where the spacing is not known. ``protocol``: "native" asks ``predict`` for
    smooth borders; "paper" measures the same and, with published borders, the published way too.

    Raises EvaluationError if the split is empty, a tolerance is for no structure or no length, or
    MONAI is missing; and what reading a case and ``predict`` raise.
    """
    cases: tuple[Case, ...] = getattr(dataset, split)
    if not cases:
        raise EvaluationError(
            f"The dataset has no {split} cases.", f"Name {split} patients in it, or another split."
        )
    tolerances = _checked(tolerances or {}, dataset.structures)
    rows: list[Row] = []
    worst = Worst(dataset.structures)
    for done, case in enumerate(cases):
        on_progress(Progress("evaluating", done, len(cases)))
        rows += _rows(dataset, split, case, predict, protocol, tolerances, slice_axis, worst)
    on_progress(Progress("evaluating", len(cases), len(cases)))
    return Evaluation(split, protocol, dataset.structures, tolerances, tuple(rows), worst.pictures)


def _rows(
    dataset: Dataset,
    split: str,
    case: Case,
    predict: Predict,
    protocol: str,
    tolerances: Mapping[str, float],
    slice_axis: str,
    worst: Worst,
) -> Iterator[Row]:
    volume, classes = dataset.read(case)
    span, scored = _scored_slices(split, case, volume, slice_axis)
    ignored = classes == IGNORED
    view = slice_view(volume, slice_axis, "identity")
    outside = [n for n in range(view.count) if n not in scored]
    view.put(ignored, outside, np.ones((len(outside), *view.slice_shape), bool))
    labels = predict(case, volume, SegmentOptions(slices=span))
    published = None
    if protocol == "paper":
        published = predict(case, volume, SegmentOptions(slices=span, borders="published"))
    known = spacing_is_known(volume)
    for index, name in enumerate(dataset.structures, start=1):
        if name in case.unknown:
            continue
        prediction, reference = (labels == index) & ~ignored, (classes == index) & ~ignored
        scores = score(
            prediction,
            reference,
            volume.spacing[::-1],
            tolerance=tolerances[name],
            voxel_ml=volume.voxel_volume_ml if known else None,
            ignored=ignored,
        )
        paper = None
        if published is not None:
            paper = paper_score(published == index, reference, ignored=ignored)
        worst.see(case.id, name, scores, prediction, reference, volume, view)
        yield Row(case.id, case.patient, name, MILLIMETRES if known else VOXELS, scores, paper)


def spacing_is_known(volume: Volume) -> bool:
    """Return whether lengths are in mm: pictures and bare arrays have voxels of size 1 at 0.

    A true grid of that very kind gets the same numbers, called voxels.
    """
    bare = np.abs(volume.ijk_to_ras) - np.eye(4)
    return not np.allclose(bare, 0.0, atol=1e-6)


def _scored_slices(
    split: str, case: Case, volume: Volume, slice_axis: str
) -> tuple[range, set[int]]:
    """Return the range of slices to segment, and which of its slices are to be scored."""
    count = slice_view(volume, slice_axis, "identity").count
    held_out = case.validation_slices
    span = {"test": None, "validation": held_out, "training": case.slices}[split]
    wanted = range(*(span or (0, count)))
    check_slices(wanted, count, volume.name)
    scored = set(wanted)
    if split == "training" and held_out is not None:
        scored -= set(range(*held_out))
    return wanted, scored


def _checked(given: Mapping[str, float], structures: Sequence[str]) -> dict[str, float]:
    if strange := sorted(set(given) - set(structures)):
        raise EvaluationError(
            f"There is a tolerance for {', '.join(strange)}, which the dataset does not list.",
            f"Its structures are {', '.join(structures)}.",
        )
    for name, tolerance in given.items():
        if not 0 <= tolerance < np.inf:
            raise EvaluationError(
                f"The tolerance of {name} is {tolerance:g}, which is no length.",
                "Give a number of mm, from 0.",
            )
    return {name: float(given.get(name, DEFAULT_TOLERANCE)) for name in structures}


def _mean(rows: Sequence[Row], part: str, measure: str) -> Mean | None:
    found = []
    for row in rows:
        scores = getattr(row, part)
        value = None if scores is None else getattr(scores, measure)
        if value is not None:
            found.append(Measurement(row.patient, row.structure, value))
    return mean_of(found)
