"""Scoring the cases of a dataset one by one, so that memory holds one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import EvaluationError
from GDLACore.evaluation.picture_grid import shrunken_prediction, shrunken_reference
from GDLACore.evaluation.results import MILLIMETRES, VOXELS, Evaluation, Row
from GDLACore.evaluation.scores import DEFAULT_TOLERANCE, PaperScores, paper_score, score
from GDLACore.evaluation.worst import Worst
from GDLACore.imaging.view import SliceView, check_slices, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import Progress
from GDLACore.training.cases import IGNORED, Case

if TYPE_CHECKING:
    from GDLACore.training.dataset import Dataset

# From a case, its image and what is asked for (slices, borders) to class indices [k, j, i]: 1 is
# the dataset's first structure. Predictions of other structures are 0.
Predict = Callable[[Case, Volume, SegmentOptions], np.ndarray]


def evaluate_cases(
    dataset: Dataset,
    split: str,
    predict: Predict,
    *,
    protocol: str = "native",
    tolerances: Mapping[str, float] | None = None,
    slice_axis: str = "axial",
    picture_size: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Evaluation:
    """Score ``predict`` on the cases of ``split`` ("test", "validation" or "training"), one by one.

    Scored are the dataset's structures (not its auxiliary ones) that a case is not ``unknown``
    for. Voxels nobody annotated count nowhere; of the validation cases only the validation slices
    count, and of the training cases only the slices that are learnt from, across ``slice_axis``
    (a card's). ``tolerances`` of the normalised surface distance by structure, 2 where not given,
    in mm, or in voxels where the spacing is not known. ``protocol``: "native" asks ``predict`` for
    smooth borders; "paper" measures the same and, with published borders, the published way too:
    on the native grid, or on squares of ``picture_size`` pixels (a colour model's input).

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
        image = _annotated(dataset, split, case, slice_axis)
        labels = {"native": predict(case, image.volume, SegmentOptions(slices=image.span))}
        if protocol == "paper":
            options = SegmentOptions(slices=image.span, borders="published")
            labels["paper"] = predict(case, image.volume, options)
        for index, name in enumerate(dataset.structures, start=1):
            if name not in case.unknown:
                row, masks = _score(image, case, name, index, labels["native"], tolerances[name])
                if protocol == "paper":
                    found = labels["paper"] == index
                    row = replace(row, paper=_paper_score(image, found, masks[1], picture_size))
                rows.append(row)
                worst.see(row, *masks, image.volume.array, image.view, image.spacing)
    on_progress(Progress("evaluating", len(cases), len(cases)))
    return Evaluation(
        split=split,
        protocol=protocol,
        structures=dataset.structures,
        tolerances=tolerances,
        rows=tuple(rows),
        worst=worst.pictures,
        picture_size=picture_size,
    )


@dataclass(frozen=True, eq=False)
class _Annotated:
    """An image, its class indices, and what of it does not count, all [k, j, i].

    ``span``: the slices of ``view`` to segment. ``spacing``: along k, j, i, in ``unit``.
    """

    volume: Volume
    classes: np.ndarray
    ignored: np.ndarray
    view: SliceView
    span: range
    spacing: tuple[float, float, float]
    unit: str

    @property
    def voxel_ml(self) -> float | None:
        """The volume of a voxel, None where its size is not known."""
        return self.volume.voxel_volume_ml if self.unit == MILLIMETRES else None


def _annotated(dataset: Dataset, split: str, case: Case, slice_axis: str) -> _Annotated:
    volume, classes = dataset.read(case)
    view = slice_view(volume, slice_axis, "identity")
    held_out = case.validation_slices
    bounds = {"test": None, "validation": held_out, "training": case.slices}[split]
    span = range(*(bounds or (0, view.count)))
    check_slices(span, view.count, volume.name)
    scored = set(span)
    if split == "training" and held_out is not None:
        scored -= set(range(*held_out))
    outside = [index for index in range(view.count) if index not in scored]
    ignored = classes == IGNORED
    view.put(ignored, outside, np.ones((len(outside), *view.slice_shape), bool))
    k, j, i = volume.spacing[::-1] if case.spacing_known else (1.0, 1.0, 1.0)
    unit = MILLIMETRES if case.spacing_known else VOXELS
    return _Annotated(volume, classes, ignored, view, span, (k, j, i), unit)


def _score(
    image: _Annotated,
    case: Case,
    name: str,
    index: int,
    labels: np.ndarray,
    tolerance: float,
) -> tuple[Row, tuple[np.ndarray, np.ndarray]]:
    """Return the scores of one structure, and its masks as the native protocol sees them."""
    ignored = image.ignored
    prediction, reference = ((of == index) & ~ignored for of in (labels, image.classes))
    scores = score(
        prediction,
        reference,
        image.spacing,
        tolerance=tolerance,
        voxel_ml=image.voxel_ml,
        ignored=ignored,
    )
    return Row(case.id, case.patient, name, image.unit, scores), (prediction, reference)


def _paper_score(
    image: _Annotated, prediction: np.ndarray, reference: np.ndarray, picture_size: int | None
) -> PaperScores:
    ignored = image.ignored
    if picture_size is not None:
        prediction = shrunken_prediction(prediction, image.view, picture_size)
        reference, ignored = (
            shrunken_reference(mask, image.view, picture_size) for mask in (reference, ignored)
        )
    return paper_score(prediction, reference, ignored=ignored)


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
