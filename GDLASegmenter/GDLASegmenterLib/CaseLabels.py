"""One label map from the layers of a segmentation, each stored in its own order and extent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from GDLACore.errors import OutputError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import Extent, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import boxOf


@dataclass(frozen=True, eq=False)
class CaseLayer:
    """The voxels of a layer, of which nobody else knows, and what they mean.

    ``array`` is as it is stored, ``extent`` that of its voxels on the volume's grid, ``axes``
    (3x3, whole numbers) leads from its steps along i, j, k to the grid's. ``values`` are the
    values of the model's labels by those in the array.
    """

    array: np.ndarray
    extent: Extent
    axes: np.ndarray
    values: dict[int, int]

    def turned(self) -> np.ndarray:
        """Return the array in the order of the grid."""
        sources = np.abs(self.axes).argmax(axis=1)  # along which of its i, j, k the grid's go
        array = self.array.transpose([2 - sources[axis] for axis in (2, 1, 0)])
        backwards = [self.axes[axis, sources[axis]] < 0 for axis in (2, 1, 0)]
        return array[tuple(slice(None, None, -1 if one else 1) for one in backwards)]


def caseLabels(
    layers: tuple[CaseLayer, ...], shape: tuple[int, int, int], card: ModelCard, name: str
) -> np.ndarray:
    """Return the labels [k, j, i] of ``card`` that ``layers`` say; what is off the grid is lost.

    Raises OutputError, with ``name`` for the segmentation, if two structures share a voxel.
    """
    labels = np.zeros(shape, np.uint8 if card.classes <= 256 else np.uint16)
    grid = (0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
    for layer in layers:
        common = intersection(layer.extent, grid)
        if isEmpty(common):
            continue
        stored, there = boxOf(layer.turned(), layer.extent, common), boxOf(labels, grid, common)
        for voxels, place in zip(stored, there, strict=True):
            found = _labels(voxels, layer.values, labels.dtype)
            if _shared(found, place).any():
                raise _overlap(name, card, found, place)
            np.copyto(place, found, where=found != 0)
    return labels


def _labels(voxels: np.ndarray, values: dict[int, int], dtype: np.dtype) -> np.ndarray:
    found = np.zeros(voxels.shape, dtype)
    for value, label in values.items():
        found[voxels == value] = label
    return found


def _shared(found: np.ndarray, place: np.ndarray) -> np.ndarray:
    return (found != 0) & (place != 0) & (found != place)


def _overlap(name: str, card: ModelCard, found: np.ndarray, place: np.ndarray) -> OutputError:
    both = np.argwhere(_shared(found, place))[0]
    names = {label.value: label.name for label in card.labels}
    one, other = (names[int(labels[tuple(both)])] for labels in (place, found))
    return OutputError(
        f"{one} and {other} of {name} overlap, and a voxel can teach one structure only.",
        "In Segment Editor, subtract one from the other (Logical operators).",
    )
