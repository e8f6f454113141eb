"""How far a corrected segmentation is from what the model had made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TOTAL = "total"  # the structure of an agreement about all of them


@dataclass(frozen=True)
class Agreement:
    """What became of the model's mask of a structure when it was corrected.

    ``dice`` is 2 |A and B| / (|A| + |B|) of the two masks (Dice 1945); None if both are empty.
    ``added`` and ``removed`` are the voxels that only the corrected, or only the model's has.
    """

    structure: str
    model_ml: float
    corrected_ml: float
    dice: float | None
    added: int
    removed: int


@dataclass(frozen=True)
class AgreementReport:
    """The agreements about a ``model``'s structures, and about all of them as the last.

    ``version`` is that of the model which made the slices, or several as in "1, 2", empty if nobody
    knows. ``slices`` is "all", or "reviewed" where only slices count that somebody has looked at:
    elsewhere, agreement says nothing about whether the model was right. ``count`` is how many.
    """

    model: str
    version: str
    slices: str
    count: int
    agreements: tuple[Agreement, ...]


def count_voxels(
    model: np.ndarray,
    corrected: Iterable[tuple[np.ndarray, Mapping[int, int]]],
    labels: Sequence[int],
) -> Iterator[np.ndarray]:
    """Yield parts of a sum, int64 [len(labels), 3], for the model and for each of ``corrected``.

    Counted are voxels of the model's mask, of the corrected one, and of both. ``model`` are labels,
    whole numbers of any shape. ``corrected`` are label maps of that shape, each with the values
    (not 0) that labels have in it; a label is in one of them at most, and its corrected mask is
    empty if it is in none.
    """
    rows = {label: row for row, label in enumerate(labels)}
    size = len(labels) + 1
    ours = _ranks(model, {label: row + 1 for label, row in rows.items()})
    counts = np.zeros((len(labels), 3), np.int64)
    counts[:, 0] = np.bincount(ours[ours > 0], minlength=size)[1:]
    yield counts
    for layer, values in corrected:
        theirs = _ranks(layer, {value: rows[label] + 1 for label, value in values.items()})
        there = np.flatnonzero(theirs)  # most of a slice is nothing, and counting takes longer
        found, joint = theirs.flat[there], ours.flat[there]
        counts = np.zeros((len(labels), 3), np.int64)
        counts[:, 1] = np.bincount(found, minlength=size)[1:]
        counts[:, 2] = np.bincount(found[found == joint], minlength=size)[1:]
        yield counts


def agreement_report(
    model: str,
    version: str,
    slices: str,
    counts: np.ndarray,
    structures: Sequence[str],
    voxel_ml: float,
) -> AgreementReport:
    """Return what ``counts`` [slices, structures, 3] of ``count_voxels`` say; see there.

    The total is of all masks together, so that small structures weigh less than large ones; a voxel
    that was moved from one structure to another counts as removed and as added.
    """
    summed = counts.sum(axis=0)
    rows = [*zip(structures, summed, strict=True), (TOTAL, summed.sum(axis=0))]
    found = tuple(_agreement(name, *row.tolist(), voxel_ml) for name, row in rows)
    return AgreementReport(model, version, slices, len(counts), found)


def _agreement(name: str, model: int, corrected: int, both: int, voxel_ml: float) -> Agreement:
    dice = 2 * both / (model + corrected) if model + corrected else None
    return Agreement(
        name, model * voxel_ml, corrected * voxel_ml, dice, corrected - both, model - both
    )


def _ranks(array: np.ndarray, ranks: Mapping[int, int]) -> np.ndarray:
    """Return the rank of each element of ``array``, 0 if it has none."""
    if array.dtype in (np.uint8, np.uint16):
        table = np.zeros(np.iinfo(array.dtype).max + 1, np.uint16)
        table[list(ranks)] = list(ranks.values())
        return table.take(array)
    found = np.zeros(array.shape, np.uint16)
    for value, rank in ranks.items():
        found[array == value] = rank
    return found
