"""The layers of one model's segments, made ready to be written slice by slice."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import Extent, union
from GDLASegmenterLib.LabelLayer import (
    LabelLayer,
    layersOf,
    movedTo,
    newImageInSteps,
    onGrid,
    scalarType,
    separatedInSteps,
)
from GDLASegmenterLib.ModelSegments import findSegments
from GDLASegmenterLib.VolumeGrid import VolumeGrid


def modelLayers(segmentation, card: ModelCard) -> list[LabelLayer]:
    """Return the layers in which the segments of ``card``'s model are."""
    return layersOf(segmentation, findSegments(segmentation, card).values())


def layersInSteps(
    segmentation, card: ModelCard, grid: VolumeGrid, room: Extent
) -> Generator[None, None, list[LabelLayer]]:
    """Return the model's layers once each can be written to anywhere in ``room``.

    That is, once no other segment shares it, it is stored on ``grid`` and is large enough. To be
    asked anew before each writing: undoing, painting and removing segments replace layers. Yields
    after some milliseconds' work each; what the user does in between is seen.
    """
    while True:
        layers = modelLayers(segmentation, card)
        unready = [one for one in layers if not _isReady(segmentation, one, grid, room)]
        if not unready:
            return layers
        yield from _makeReady(segmentation, unready[0], grid, room)


def valuesInLayer(segmentation, card: ModelCard, layer: LabelLayer, labels: np.ndarray):
    """Return ``labels`` of the card as values of ``layer``, 0 where a segment is not in it."""
    values = {
        label: segmentation.GetSegment(segmentID).GetLabelValue()
        for label, segmentID in findSegments(segmentation, card).items()
        if segmentID in layer.segmentIDs
    }
    if values == {label.value: label.value for label in card.labels}:
        return labels  # a copy is ten times as fast as looking values up
    table = np.zeros(len(card.labels) + 1, layer.array().dtype)
    table[list(values)] = list(values.values())
    return table[labels]


def largestValue(segmentation, layer: LabelLayer) -> int:
    return max(segmentation.GetSegment(one).GetLabelValue() for one in layer.segmentIDs)


def _isReady(segmentation, layer: LabelLayer, grid: VolumeGrid, room: Extent) -> bool:
    return (
        not layer.others(segmentation)
        and layer.isOn(grid.IJKToRAS)
        and union(layer.extent, room) == layer.extent
        and layer.image.GetScalarType() >= scalarType(largestValue(segmentation, layer))
    )


def _makeReady(
    segmentation, layer: LabelLayer, grid: VolumeGrid, room: Extent
) -> Generator[None, None, None]:
    if layer.others(segmentation):
        yield from separatedInSteps(segmentation, layer)
        return
    if not layer.isOn(grid.IJKToRAS):
        onGrid(segmentation, layer, grid.IJKToRAS)
        return
    state = layer.state
    image = yield from newImageInSteps(
        grid.IJKToRAS, union(layer.extent, room), largestValue(segmentation, layer)
    )
    isUntouched = layer.isUntouched(segmentation, state)
    if isUntouched and not layer.others(segmentation):
        movedTo(segmentation, layer, image)
