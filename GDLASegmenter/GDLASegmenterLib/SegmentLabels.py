"""The segments of a model read as one label map, slice by slice, however they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from GDLASegmenterLib.Extent import Extent, blocks, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import (
    LABELMAP,
    LabelLayer,
    boxOf,
    extentOn,
    layersOf,
    sameGrid,
    stepsOn,
)
from GDLASegmenterLib.ModelSegments import findTagged
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_READ_AT_ONCE = 1 << 20  # voxels of layers


@dataclass(frozen=True, eq=False)
class SegmentLabels:
    """What was in the segments of a model's structures when it was made, as views of their memory.

    ``present`` are the label values whose segments there are. A voxel in the segments of several
    structures has the largest value that ``dtype`` can hold, which is that of no structure.
    """

    present: frozenset[int]
    dtype: np.dtype
    _layers: tuple[tuple[np.ndarray, Extent, dict[int, int]], ...]

    @property
    def extents(self) -> list[Extent]:
        """Where on the grid there may be something, also beyond it."""
        return [extent for _array, extent, _values in self._layers]

    def blocks(self, slab: Extent) -> Iterator[Extent]:
        """Return the parts of ``slab`` that are read in some milliseconds each."""
        return blocks(slab, _READ_AT_ONCE // max(1, len(self._layers)))

    def read(self, slab: Extent) -> np.ndarray:
        """Return the labels [k, j, i] in ``slab``, an extent of the grid."""
        i0, i1, j0, j1, k0, k1 = slab
        labels = np.zeros((k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), self.dtype)
        for number, (array, extent, values) in enumerate(self._layers):
            common = intersection(extent, slab)
            if isEmpty(common):
                continue
            found = _looked(boxOf(array, extent, common), values, self.dtype)
            there = boxOf(labels, slab, common)
            if number:
                found[(found != 0) & (there != 0)] = np.iinfo(self.dtype).max
                np.copyto(there, found, where=found != 0)
            else:
                there[:] = found
        return labels


def segmentLabels(
    segmentation, model: str, labels: dict[str, int], grid: VolumeGrid, dtype: np.dtype
) -> SegmentLabels | None:
    """Return the segments that ``model`` made of the structures ``labels`` (values by tag).

    None if one of them has no voxels, or is not made of voxels of ``grid``.
    """
    found = findTagged(segmentation, model, labels)
    byID = {segmentID: value for value, segmentID in found.items()}
    layers = []
    for layer in layersOf(segmentation, byID):
        if layer.image is None or not isEmpty(layer.extent) and not _fits(layer, grid):
            return None
        if not isEmpty(layer.extent):
            values = {
                segmentation.GetSegment(one).GetLabelValue(): byID[one] for one in layer.segmentIDs
            }
            steps = stepsOn(layer.image, grid.IJKToRAS)
            extent = extentOn(layer.image, grid.IJKToRAS)
            layers.append((turned(layer.array(), steps), extent, values))
    return SegmentLabels(frozenset(found), dtype, tuple(layers))


def stateOfSegments(segmentation, model: str, labels: dict[str, int]) -> tuple:
    """Return what is another one whenever a voxel of ``model``'s segments may have changed."""
    state = []
    for value, segmentID in findTagged(segmentation, model, labels).items():
        segment = segmentation.GetSegment(segmentID)
        image = segment.GetRepresentation(LABELMAP)
        state.append((value, segmentID, segment.GetLabelValue(), image and image.GetMTime()))
    return tuple(state)


def turned(array: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return ``array`` [k, j, i] as a view in the order of another grid.

    ``steps`` (4x4) leads from its indices i, j, k to those of the grid; see ``sameGrid``.
    """
    whole = np.round(steps[:3, :3])
    sources = np.abs(whole).argmax(axis=1)  # along which of its i, j, k the grid's go
    array = array.transpose([2 - sources[row] for row in (2, 1, 0)])
    backwards = [whole[row, sources[row]] < 0 for row in (2, 1, 0)]
    return array[tuple(slice(None, None, -1 if one else 1) for one in backwards)]


def _fits(layer: LabelLayer, grid: VolumeGrid) -> bool:
    return sameGrid(layer.image, grid.IJKToRAS)


def _looked(array: np.ndarray, values: dict[int, int], dtype: np.dtype) -> np.ndarray:
    """Return what ``values`` says of each element of ``array``, 0 if nothing."""
    if array.dtype == np.uint8:
        table = np.zeros(256, dtype)
        table[list(values)] = list(values.values())
        return table.take(array)
    found = np.zeros(array.shape, dtype)
    for value, label in values.items():
        found[array == value] = label
    return found
