"""What is done to a model's segments once their voxels are in, in steps."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import numpy as np
import slicer
import vtk

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import EMPTY, Extent, isEmpty
from GDLASegmenterLib.LabelLayer import (
    LABELMAP,
    LabelLayer,
    announce,
    movedTo,
    newImageInSteps,
)
from GDLASegmenterLib.ModelLayers import largestValue, layersInSteps
from GDLASegmenterLib.ModelSegments import findSegments
from GDLASegmenterLib.VolumeGrid import VolumeGrid

CLOSED_SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()

_LOOKED_AT_ONCE = 8 << 20  # voxels


def finishingSteps(segmentation, card: ModelCard, grid: VolumeGrid) -> Generator[None, None, int]:
    """Crop the layers of ``card``'s model, note the segments' status, renew surfaces if shown.

    Each step takes some milliseconds, but for surfaces: one takes what Slicer needs to make it.
    Returns how many of the model's segments hold anything.
    """
    for layer in (yield from layersInSteps(segmentation, card, grid, EMPTY)):
        yield from _crop(segmentation, layer)
    segmentIDs = list(findSegments(segmentation, card).values())
    found = 0
    for segmentID in segmentIDs:
        segment = segmentation.GetSegment(segmentID)
        if segment is not None and (yield from _holdsAnything(segment)):
            found += 1
            _noteStatus(segment)
    if segmentation.ContainsRepresentation(CLOSED_SURFACE):
        for segmentID in segmentIDs:
            yield
            _renewSurface(segmentation, segmentID)
    return found


def removeEmptySteps(segmentation, segmentIDs: Iterable[str]) -> Generator[None, None, None]:
    """Remove those of the segments that hold nothing."""
    for segmentID in segmentIDs:
        while (segment := segmentation.GetSegment(segmentID)) is not None:
            image = segment.GetRepresentation(LABELMAP)
            time = image.GetMTime()
            isHolding = yield from _holdsAnything(segment)
            if segment.GetRepresentation(LABELMAP) is image and image.GetMTime() == time:
                if not isHolding:
                    segmentation.RemoveSegment(segmentID)
                break  # else the user was at it meanwhile


def _crop(segmentation, layer: LabelLayer) -> Generator[None, None, None]:
    """Leave out what is empty around the layer's content, as Slicer itself does."""
    if not layer.isCurrent(segmentation):  # the user was at it while another was cropped
        return
    state = layer.state
    extent = yield from _contentExtent(layer)
    if extent == layer.extent or not layer.isUntouched(segmentation, state):
        return
    matrix = vtk.vtkMatrix4x4()
    layer.image.GetImageToWorldMatrix(matrix)
    image = yield from newImageInSteps(matrix, extent, largestValue(segmentation, layer))
    isUntouched = layer.isUntouched(segmentation, state)
    if isUntouched and not layer.others(segmentation):
        announce(segmentation, movedTo(segmentation, layer, image))


def _contentExtent(layer: LabelLayer) -> Generator[None, None, Extent]:
    """Return the extent of what is not zero in ``layer``, looked for in steps."""
    if isEmpty(layer.extent):
        return EMPTY
    array = layer.array()
    inSlices = np.zeros(array.shape[0], bool)
    inRows, inColumns = (np.zeros(size, bool) for size in array.shape[1:])
    atOnce = max(1, _LOOKED_AT_ONCE // array[0].size)
    for first in range(0, len(array), atOnce):
        flat = array[first : first + atOnce].any(axis=1)
        inSlices[first : first + atOnce] = flat.any(axis=1)
        inColumns |= flat.any(axis=0)
        inRows |= array[first : first + atOnce].any(axis=(0, 2))
        yield
    if not inSlices.any():
        return EMPTY
    ends = (np.flatnonzero(one)[[0, -1]] for one in (inColumns, inRows, inSlices))
    starts = layer.extent[::2]
    return tuple(int(n) + start for pair, start in zip(ends, starts, strict=True) for n in pair)


def _holdsAnything(segment) -> Generator[None, None, bool]:
    layer = LabelLayer(segment.GetRepresentation(LABELMAP), ())
    if isEmpty(layer.extent):
        return False
    voxels = layer.array().ravel()
    for start in range(0, voxels.size, _LOOKED_AT_ONCE):
        if (voxels[start : start + _LOOKED_AT_ONCE] == segment.GetLabelValue()).any():
            return True
        yield
    return False


def _noteStatus(segment) -> None:
    """Mark a segment as begun; completed is for the radiologist to say, of what is there now."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if logic.GetSegmentStatus(segment) in (logic.NotStarted, logic.Completed):
        logic.SetSegmentStatus(segment, logic.InProgress)


def _renewSurface(segmentation, segmentID: str) -> None:
    if segmentation.GetSegment(segmentID) is None:
        return
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    surface = logic.CreateRepresentationForOneSegment(segmentation, segmentID, CLOSED_SURFACE)
    segmentation.GetSegment(segmentID).AddRepresentation(CLOSED_SURFACE, surface)
    segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentID)
