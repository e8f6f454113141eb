"""Where predictions come from: a model that is run, or files that another program wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from GDLACore.engine.protocol import Engine
from GDLACore.errors import EvaluationError
from GDLACore.evaluation.evaluation import Predict
from GDLACore.imaging.reading import read_labels
from GDLACore.imaging.segments import Segment, read_segments
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import LABEL_SUFFIXES
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.training.cases import Case
from GDLACore.training.segment_matching import match_segments

SEGMENTATION_SUFFIXES = (*LABEL_SUFFIXES, ".png", ".bmp")


def predictions_of(engine: Engine, structures: Sequence[str]) -> Predict:
    """Return what runs ``engine`` on images; its labels are matched to ``structures`` by name.

    Raises EvaluationError if the model lacks one of them: a score of 0 for what it was never meant
    to find would say nothing.
    """
    numbers = _numbers(engine.card, structures)

    def predict(case: Case, volume: Volume, options: SegmentOptions) -> np.ndarray:
        labels = segment_volume(volume, engine, options)
        return numbers[labels]

    return predict


def predictions_in(
    folder: Path, structures: Sequence[str], card: ModelCard | None = None
) -> Predict:
    """Return what reads segmentations named after the cases' ids in ``folder``.

    The segments of a ``.seg.nrrd`` are matched by terminology where a ``card`` tells that of the
    structures, and else by name. In other label maps the values are those of the ``card``, or
    without one the places of the structures in the dataset, from 1. Nothing is run: the options of
    a request (slices, borders) change nothing.

    Raises EvaluationError if the folder does not exist or ``card`` lacks a structure; what is
    returned raises EvaluationError if a case has no file, or several, a file says something that is
    none of the structures, or a voxel is two of them, and VolumeError if it cannot be read or is on
    another grid.
    """
    if not folder.is_dir():
        raise EvaluationError(f"There is no folder {folder}.", "Check the path.")
    numbers = np.arange(len(structures) + 1) if card is None else _numbers(card, structures)

    def predict(case: Case, volume: Volume, options: SegmentOptions) -> np.ndarray:
        path = _file_of(case, folder)
        if path.name.lower().endswith(".seg.nrrd"):
            return _from_segments(path, volume, structures, card)
        return _from_values(path, volume, numbers)

    return predict


def _numbers(card: ModelCard, structures: Sequence[str]) -> np.ndarray:
    """Return the class index of every label value of ``card``: uint8 [classes]."""
    values = {label.name: label.value for label in card.labels}
    if missing := [name for name in structures if name not in values]:
        raise EvaluationError(
            f"The model {card.name} does not segment {', '.join(missing)}, which the dataset "
            f"lists.",
            f"Use a model that does, or list only what it segments: {', '.join(values)}.",
        )
    numbers = np.zeros(card.classes, np.uint8)
    for index, name in enumerate(structures, start=1):
        numbers[values[name]] = index
    return numbers


def _file_of(case: Case, folder: Path) -> Path:
    found = [
        path
        for suffix in SEGMENTATION_SUFFIXES
        if (path := folder / f"{case.id}{suffix}").is_file()
    ]
    if not found:
        raise EvaluationError(
            f"{folder} has no segmentation of case {case.id}.",
            f"Name it {case.id}.seg.nrrd, or {case.id} with one of the endings "
            f"{', '.join(SEGMENTATION_SUFFIXES[1:])}.",
        )
    if len(found) > 1:
        raise EvaluationError(
            f"{folder} has more than one segmentation of case {case.id}: "
            f"{', '.join(path.name for path in found)}.",
            "Leave the one that is to be scored.",
        )
    return found[0]


def _from_segments(
    path: Path, volume: Volume, structures: Sequence[str], card: ModelCard | None
) -> np.ndarray:
    image = read_segments(path, volume)
    if card is None:
        found = _by_name(image.segments, structures)
    else:
        found = match_segments(image.segments, card).segments
    if not any(name in found for name in structures):
        raise EvaluationError(
            f"{path} has no segment that is one of {', '.join(structures)}.",
            "Name its segments as the dataset names the structures, or give the model whose "
            "terminology they have.",
        )
    classes = np.zeros(volume.shape, np.uint8)
    for index, name in enumerate(structures, start=1):
        for segment in found.get(name, ()):
            mask = image.mask(segment)
            if others := sorted(set(np.unique(classes[mask]).tolist()) - {0, index}):
                raise EvaluationError(
                    f"{path} has voxels that are both {structures[others[0] - 1]} and {name}.",
                    "A voxel is scored as one structure: decide which (in Slicer's Segment Editor, "
                    "Masking, Modify other segments: Overwrite all).",
                )
            classes[mask] = index
    return classes


def _by_name(
    segments: Sequence[Segment], structures: Sequence[str]
) -> dict[str, tuple[Segment, ...]]:
    return {
        name: same
        for name in structures
        if (same := tuple(s for s in segments if s.name.strip().casefold() == name.casefold()))
    }


def _from_values(path: Path, volume: Volume, numbers: np.ndarray) -> np.ndarray:
    labels = read_labels(path, volume)
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= len(numbers):
        strange = lowest if lowest < 0 else highest
        raise EvaluationError(
            f"{path} has the value {strange}, which is no structure: 1 to {len(numbers) - 1} are.",
            "Write the values of the model's card, or those of the dataset's order, or a .seg.nrrd "
            "with names.",
        )
    return numbers[labels].astype(np.uint8)
