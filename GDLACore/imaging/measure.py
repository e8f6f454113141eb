"""How much of each structure was found, and how well it agrees with a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard


@dataclass(frozen=True)
class StructureRow:
    """One structure of a segmentation. ``dice`` is None where there is nothing to compare.

    ``slices`` counts the slices, across the model's slice axis, that hold the structure.
    """

    name: str
    value: int
    voxels: int
    millilitres: float
    slices: int
    dice: float | None


@dataclass(frozen=True)
class Reference:
    """Labels [k, j, i] of another origin, and which of their values mean which of a card's labels.

    ``values`` maps a card's label value to the reference values that make up the structure; a
    structure the reference does not know has no entry.
    """

    labels: np.ndarray
    values: Mapping[int, tuple[int, ...]]


def structure_table(
    labels: np.ndarray,
    volume: Volume,
    card: ModelCard,
    reference: Reference | None = None,
    slices: Iterable[int] | None = None,
) -> list[StructureRow]:
    """Return one row per label of ``card``, in its order, for ``labels`` [k, j, i].

    Millilitres are voxels times the voxel's volume. Dice = 2 |A and B| / (|A| + |B|); None where
    both are empty. ``slices`` restricts all of it to these indices along the model's slice axis.
    """
    axis = slice_view(volume, card.slice_axis, "identity").axes[0]
    indices = range(labels.shape[axis]) if slices is None else slices
    # Slice by slice: numpy counts in 64-bit integers, eight times the size of a label map.
    sliced = np.moveaxis(labels, axis, 0)
    found = np.array([np.bincount(sliced[n].ravel(), minlength=card.classes) for n in indices])
    voxels, slices_with = found.sum(axis=0), (found > 0).sum(axis=0)
    dice = {} if reference is None else _dice(sliced, axis, indices, card, reference)
    return [
        StructureRow(
            name=label.name,
            value=label.value,
            voxels=int(voxels[label.value]),
            millilitres=float(voxels[label.value] * volume.voxel_volume_ml),
            slices=int(slices_with[label.value]),
            dice=dice.get(label.value),
        )
        for label in card.labels
    ]


def _dice(
    sliced: np.ndarray, axis: int, indices: Iterable[int], card: ModelCard, reference: Reference
) -> dict[int, float]:
    """Return the Dice coefficient of every structure that either side has."""
    other = np.moveaxis(reference.labels, axis, 0)
    width = int(other.max()) + 1
    joint = np.zeros((card.classes, width), np.int64)
    for index in indices:
        pairs = sliced[index].astype(np.int64) * width + other[index]
        joint += np.bincount(pairs.ravel(), minlength=joint.size).reshape(joint.shape)
    dice = {}
    for value, reference_values in reference.values.items():
        columns = [v for v in reference_values if v < width]
        total = joint[value].sum() + joint[:, columns].sum()
        if total:
            dice[value] = float(2 * joint[value, columns].sum() / total)
    return dice
