"""What is looked at in every case before a training starts, rather than in the middle of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.intensity import count_non_finite
from GDLACore.imaging.suitability import check_volume
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.cases import Case

_LOG = logging.getLogger(__name__)


def check_labels(structures: tuple[str, ...], card: ModelCard) -> None:
    """Raise TrainingError unless the card's labels are the structures, in this order."""
    names = tuple(label.name for label in card.labels)
    if names != structures:
        raise TrainingError(
            f"The card's labels {list(names)} are not the structures {list(structures)} of the "
            "dataset.",
            "List the same names in the same order in both files.",
        )


def check_case(case: Case, volume: Volume, classes: np.ndarray, card: ModelCard) -> None:
    """Raise VolumeError or TrainingError unless a network of ``card`` can learn from what was read.

    ``classes`` is uint8 [k, j, i].
    """
    check_volume(volume, card)
    if classes.shape != volume.shape:
        raise TrainingError(
            f"The image and the labels of case {case.id} have different shapes, {volume.shape} and "
            f"{classes.shape}."
        )
    if count := count_non_finite(volume.array):
        raise TrainingError(
            f"The image {volume.name} of case {case.id} has {count} voxels that are no finite "
            "numbers.",
            "Give them the value of air or of the background.",
        )


def structures_in(classes: np.ndarray, names: tuple[str, ...]) -> frozenset[str]:
    """Return which of ``names`` occur in ``classes``, uint8 [k, j, i]."""
    return frozenset(name for index, name in enumerate(names, 1) if (classes == index).any())


def check_occurrence(found: Mapping[str, Iterable[str]], structures: tuple[str, ...]) -> None:
    """Raise TrainingError if nobody is left to learn from, or a split shows no structure at all.

    ``found`` has the structures of each split that has cases. Warns of each structure that no case
    to learn from shows.
    """
    if "training" not in found:
        raise TrainingError(
            "Every patient of the dataset is held out: nothing is left to learn from.",
            "Take some of them out of `test_patients`.",
        )
    for split, names in found.items():
        if not set(names) & set(structures):
            raise TrainingError(
                f"The labels of all {split} cases are empty: none shows any of the structures.",
                "Check the label maps, and the label values in the dataset file.",
            )
    if missing := [name for name in structures if name not in set(found["training"])]:
        _LOG.warning("No case to learn from shows: %s.", ", ".join(missing))


def warn_of_copies(splits: Mapping[str, Iterable[Case]]) -> None:
    """Warn if patients of different splits have the same image, byte for byte."""
    first: dict[str, tuple[str, Case]] = {}
    for split, cases in splits.items():
        for case in cases:
            about = case.description()
            image = about.get("image", about.get("files"))  # of arrays, with their labels
            if not isinstance(image, str):
                continue
            other_split, other = first.setdefault(image, (split, case))
            if other_split != split and other.patient != case.patient:
                _LOG.warning(
                    "The image of %s (%s) is that of %s (%s), too: the results will look better "
                    "than they are.",
                    other.id,
                    other_split,
                    case.id,
                    split,
                )
