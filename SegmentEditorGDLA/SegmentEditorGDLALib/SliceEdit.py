"""One slice of segments made what a model says, by the Segment Editor's own operations."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from GDLACore.errors import OutputError
from GDLASegmenterLib.Extent import Extent, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import LABELMAP, extentOn, matrixOf, newImage
from GDLASegmenterLib.SlicePreviews import SlicePreview

# Where editing is allowed inside of segments only, a voxel that goes from one structure to another
# must be added to its new one before the old one gives it away: in between it would be outside.
_ADD_FIRST = (
    slicer.vtkMRMLSegmentationNode.EditAllowedInsideAllSegments,
    slicer.vtkMRMLSegmentationNode.EditAllowedInsideVisibleSegments,
)


def editInSteps(
    effect, answer: SlicePreview, segmentIDs: Mapping[int, str], free: np.ndarray
) -> Generator[None, None, int]:
    """Make segments in one slice what ``answer`` says, and return how many voxels have changed.

    ``effect`` is Slicer's side of a scripted effect, whose node says which segmentation is edited;
    ``segmentIDs`` are the segments to be changed, by label. Only what ``free`` says of the slice,
    a boolean array like the labels, is changed; and of that, the Segment Editor decides by its
    masks, its range of intensities and which other segments may be overwritten. The state before is
    to be saved by the caller.

    Yields before each operation, each of which takes as long as a stroke of the brush. Raises
    OutputError if the slice is not in the reach of the editor, and when somebody else has changed
    the segmentation in between.
    """
    segmentationNode = effect.parameterSetNode().GetSegmentationNode()
    slab = _slab(effect, answer, answer.labels, segmentationNode)
    labels, segmentation = arrayOf(slab), segmentationNode.GetSegmentation()
    isFree = arrayOf(_slab(effect, answer, free.astype(np.uint8), segmentationNode)) != 0
    before = {one: _content(segmentation, one, slab) for one in segmentIDs.values()}
    added = [(one, isFree & (labels == v) & ~before[one], True) for v, one in segmentIDs.items()]
    removed = [(one, isFree & (labels != v) & before[one], False) for v, one in segmentIDs.items()]
    maskMode = effect.parameterSetNode().GetMaskMode()
    state = _state(segmentation)
    for segmentID, voxels, isAdded in (
        added + removed if maskMode in _ADD_FIRST else removed + added
    ):
        if not voxels.any():
            continue
        yield
        isEdited = effect.parameterSetNode().GetSegmentationNode() is segmentationNode
        if not isEdited or _state(segmentation) != state:
            raise OutputError(
                f"{segmentationNode.GetName()} was changed while slice {answer.index} was being "
                "written.",
                "Undo, and segment the slice again.",
            )
        _modify(effect, segmentID, slab, voxels, isAdded)
        state = _state(segmentation)
    return sum(
        int(np.count_nonzero(_content(segmentation, one, slab) != mask))
        for one, mask in before.items()
    )


def arrayOf(image) -> np.ndarray:
    """Return the memory of ``image`` as an array [k, j, i]."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def _slab(effect, answer: SlicePreview, plane: np.ndarray, segmentationNode):
    """Return ``plane``, which is like the labels of ``answer``, as an image of its slice.

    It is on the grid that ``segmentationNode`` is edited on.
    """
    grid = answer.grid
    whole = newImage(
        grid.IJKToRAS,
        grid.slab(answer.axis, answer.index, answer.index),
        int(np.iinfo(plane.dtype).max),
    )
    arrayOf(whole)[:] = np.expand_dims(plane, answer.axis)
    edited = effect.referenceGeometryImage()
    matrix = matrixOf(edited)
    extent = intersection(extentOn(whole, matrix), edited.GetExtent())
    if isEmpty(extent):
        raise OutputError(
            f"Slice {answer.index} is outside of what can be edited of "
            f"{segmentationNode.GetName()}.",
            "Set its geometry to that of the volume (the button beside Source volume).",
        )
    return _resampled(whole, matrix, extent)


def _resampled(image, matrix, extent: Extent):
    """Return ``image``, whose grid is the same but for its order, in ``extent`` of ``matrix``."""
    reference, result = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    reference.SetImageToWorldMatrix(matrix)
    reference.SetExtent(*extent)
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, result, False
    )
    return result


def _content(segmentation, segmentID: str, slab) -> np.ndarray:
    """Return which voxels of ``slab`` are in the segment."""
    segment = segmentation.GetSegment(segmentID)
    image = segment.GetRepresentation(LABELMAP)
    if image is None or isEmpty(image.GetExtent()):
        return np.zeros(arrayOf(slab).shape, bool)
    part = _resampled(image, matrixOf(slab), slab.GetExtent())
    return arrayOf(part) == segment.GetLabelValue()


def _state(segmentation) -> list[tuple]:
    """Return something that is another one when any segment has changed, come or gone."""
    images = {
        one: segmentation.GetSegment(one).GetRepresentation(LABELMAP)
        for one in segmentation.GetSegmentIDs()
    }
    return [(one, image, image and image.GetMTime()) for one, image in images.items()]


def _modify(effect, segmentID: str, slab, voxels: np.ndarray, isAdded: bool) -> None:
    """Let the editor add ``voxels`` [k, j, i] of ``slab`` to a segment, or remove them from it.

    It edits the segment that is selected; so this one is, while nobody looks.
    """
    image = newImage(matrixOf(slab), slab.GetExtent(), 1)
    arrayOf(image)[:] = voxels
    modes = slicer.qSlicerSegmentEditorAbstractEffect
    mode = modes.ModificationModeAdd if isAdded else modes.ModificationModeRemove
    node = effect.parameterSetNode()
    selected, isSilent = node.GetSelectedSegmentID(), node.GetDisableModifiedEvent()
    node.SetDisableModifiedEvent(True)
    try:
        node.SetSelectedSegmentID(segmentID)
        # Without being told the extent, it would go through the whole layer to remove something.
        effect.modifySelectedSegmentByLabelmap(image, mode, list(slab.GetExtent()))
    finally:
        node.SetSelectedSegmentID(selected)
        node.SetDisableModifiedEvent(isSilent)
