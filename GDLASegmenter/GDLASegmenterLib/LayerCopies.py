"""What a model's layers were before a run, to be put back slice by slice."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import EMPTY, Extent, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import LabelLayer, boxOf, newImageInSteps
from GDLASegmenterLib.ModelLayers import largestValue, layersInSteps
from GDLASegmenterLib.VolumeGrid import VolumeGrid

LayerCopies = list[tuple[LabelLayer, dict[str, int]]]  # with the segments' values


def copiesInSteps(
    segmentation, card: ModelCard, grid: VolumeGrid
) -> Generator[None, None, LayerCopies]:
    """Return copies of the layers of ``card``'s model, all of one and the same moment.

    Yields after some milliseconds' work each; the user may be painting meanwhile.
    """
    while (copies := (yield from _copies(segmentation, card, grid))) is None:
        pass
    return copies


def restore(
    segmentation, layer: LabelLayer, slab: Extent, copies: LayerCopies, inside: np.ndarray | bool
) -> None:
    """Put into ``slab`` of ``layer``, where ``inside``, what was there when ``copies`` were made.

    The segments may be in other layers than then, and have other values.
    """
    place = layer.box(slab)
    previous = np.zeros_like(place)
    for old, values in copies:
        common = intersection(old.extent, slab)
        if isEmpty(common):
            continue
        content, there = old.box(common), boxOf(previous, slab, common)
        for segmentID, value in values.items():
            if segmentID in layer.segmentIDs:
                segment = segmentation.GetSegment(segmentID)
                there[content == value] = segment.GetLabelValue()
    np.copyto(place, previous, where=inside)


def _copies(
    segmentation, card: ModelCard, grid: VolumeGrid
) -> Generator[None, None, LayerCopies | None]:
    copies: LayerCopies = []
    layers = yield from layersInSteps(segmentation, card, grid, EMPTY)
    states = [layer.state for layer in layers]
    for layer, state in zip(layers, states, strict=True):
        if not layer.isUntouched(segmentation, state):
            return None
        values = {one: segmentation.GetSegment(one).GetLabelValue() for one in layer.segmentIDs}
        image = yield from newImageInSteps(
            grid.IJKToRAS, layer.extent, largestValue(segmentation, layer)
        )
        if not layer.isUntouched(segmentation, state):
            return None
        copy = LabelLayer(image, layer.segmentIDs)
        if not isEmpty(layer.extent):
            copy.array()[:] = layer.array()
        copies.append((copy, values))
    untouched = all(
        layer.isUntouched(segmentation, state) for layer, state in zip(layers, states, strict=True)
    )
    return copies if untouched else None
