"""How sure the model is of every voxel: a volume beside the segmentation, and its colors in views.

Its values are percent, 1 to 100. 0 is a voxel for which nothing was computed: the views leave it
out, as they do what is outside a volume.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from GDLACore.errors import OutputError
from GDLACore.imaging.percent import NOT_COMPUTED, percent
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.NodeSharing import isShared
from GDLASegmenterLib.VolumeGrid import VolumeGrid
from GDLASegmenterLib.VolumeInput import IJKToRASMatrix

Steps = Generator[None, None, None]

ROLE = "GDLA.Confidence"

# Of equal steps to the eye, from dark blue to yellow; inverted, what is doubtful is bright.
_COLORS = "vtkMRMLColorTableNodeFilePlasma.txt"

# What is surer than this (percent) has no color: else the whole image would be under one.
_SURE = 90

_OPACITY = 0.5
_FOREGROUND_BEFORE = "GDLA.ForegroundBefore"
_OPACITY_BEFORE = "GDLA.ForegroundOpacityBefore"

_CLEARED_AT_ONCE = 8 << 20  # voxels


def confidenceNode(segmentationNode):
    """Return the volume node with the confidence of ``segmentationNode``, None if there is none."""
    return segmentationNode.GetNodeReference(ROLE)


def isConfidence(volumeNode) -> bool:
    """Return whether ``volumeNode`` is a confidence volume, and so no image to segment."""
    return volumeNode.GetAttribute(ROLE) is not None


def confidenceSteps(
    segmentationNode,
    grid: VolumeGrid,
    confidence: np.ndarray | None,
    axis: int,
    indices: Sequence[int],
    inside: Callable[[Extent], np.ndarray | bool] = lambda slab: True,
) -> Steps:
    """Write the slices ``indices`` along array axis ``axis`` into the confidence volume.

    ``confidence`` is float16 [k, j, i] on ``grid``, from 0 to 1; only those slices of it are read,
    and of them only the voxels that are ``inside`` a slab are written.
    With None, what a volume there says of these slices is forgotten: others made them. The volume
    is created if there is none on this grid, with nothing in its other slices; one that is another
    segmentation's as well stays as it is, and is copied. Yields after some milliseconds' work each,
    and ends if the user removes either node meanwhile.
    """
    if segmentationNode.GetScene() is None:
        return
    if confidence is None:
        if confidenceNode(segmentationNode) is None:
            return
        confidence = np.broadcast_to(np.float16(np.nan), grid.shape)
    node, known = confidenceNode(segmentationNode), None
    if node is not None and isShared(node, ROLE):
        known = node.GetImageData() if _isOn(node, grid) else None
        node = None
    if node is None:
        node = _newNode(segmentationNode, grid)
    if not _isOn(node, grid):
        image = yield from _imageInSteps(grid, known)
        if confidenceNode(segmentationNode) is not node:
            return
        node.SetIJKToRASMatrix(grid.IJKToRAS)
        node.SetAndObserveImageData(image)
    transformNode = node.GetScene().GetNodeByID(grid.transformID) if grid.transformID else None
    node.SetAndObserveTransformNodeID(transformNode.GetID() if transformNode else None)
    for index in indices:
        chosen = (slice(None),) * axis + (slice(index, index + 1),)
        mask = inside(grid.slab(axis, index, index))
        np.copyto(_array(node.GetImageData())[chosen], percent(confidence[chosen]), where=mask)
        yield
        if confidenceNode(segmentationNode) is not node or not _isOn(node, grid):
            return
    slicer.util.arrayFromVolumeModified(node)


def showConfidence(segmentationNode, shown: bool) -> None:
    """Lay the confidence over the segmented volume in the slice views that show it, or take it off.

    What was in front of the volume before comes back. Raises OutputError if there is nothing to
    show, or no view to show it in.
    """
    node = confidenceNode(segmentationNode)
    composites = _composites(segmentationNode.GetScene())
    if not shown:
        for composite in composites:
            if composite.GetNodeReference(ROLE) in (None, node):
                _takeOff(composite)
        return
    if node is None:
        raise OutputError(
            f"{segmentationNode.GetName()} has no confidence volume.",
            "Segment the volume again, with its confidence asked for.",
        )
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    volumeNode = segmentationNode.GetNodeReference(role)
    under = [
        composite
        for composite in composites
        if volumeNode and composite.GetBackgroundVolumeID() == volumeNode.GetID()
    ]
    if not under:
        name = volumeNode.GetName() if volumeNode else segmentationNode.GetName()
        raise OutputError(
            f"No slice view shows {name}, which the confidence belongs to.",
            "Show it as the background of a slice view (Data module, the eye) first.",
        )
    for composite in under:
        _layOver(composite, node)


def isConfidenceShown(segmentationNode) -> bool:
    """Return whether a slice view has the confidence of ``segmentationNode`` in front."""
    node = confidenceNode(segmentationNode)
    return node is not None and any(
        composite.GetForegroundVolumeID() == node.GetID()
        for composite in _composites(segmentationNode.GetScene())
    )


def _newNode(segmentationNode, grid: VolumeGrid):
    scene = segmentationNode.GetScene()
    name = scene.GenerateUniqueName(f"{segmentationNode.GetName()} confidence")
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(ROLE, "1")
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAutoWindowLevel(False)  # before there are voxels to take levels from
    display.SetWindowLevelMinMax(0, 100)
    display.SetAndObserveColorNodeID(_COLORS)
    display.SetInvertDisplayScalarRange(True)
    display.SetInterpolate(False)  # nothing is between something and nothing
    display.SetThreshold(1, _SURE)
    display.SetApplyThreshold(True)
    node.SetAndObserveDisplayNodeID(display.GetID())
    segmentationNode.SetNodeReferenceID(ROLE, node.GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node)
    volumeNode = scene.GetNodeByID(grid.volumeID)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode) if volumeNode else 0
    if item and volumeItem:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))
    return node


def _isOn(node, grid: VolumeGrid) -> bool:
    image = node.GetImageData()
    return (
        image is not None
        and image.GetScalarType() == vtk.VTK_UNSIGNED_CHAR
        and image.GetDimensions()[::-1] == tuple(grid.shape)
        and np.allclose(
            slicer.util.arrayFromVTKMatrix(IJKToRASMatrix(node)),
            slicer.util.arrayFromVTKMatrix(grid.IJKToRAS),
            atol=1e-4,  # mm; a file may round
        )
    )


def _imageInSteps(grid: VolumeGrid, known) -> Generator[None, None, vtk.vtkImageData]:
    """Return an image of what is in ``known``, or of nothing if that is None."""
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.shape[::-1])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    voxels, source = _array(image).ravel(), None if known is None else _array(known).ravel()
    for start in range(0, voxels.size, _CLEARED_AT_ONCE):
        part = slice(start, start + _CLEARED_AT_ONCE)
        voxels[part] = NOT_COMPUTED if source is None else source[part]
        yield
    return image


def _array(image) -> np.ndarray:
    """Return the memory of ``image`` as an array [k, j, i]."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def _composites(scene) -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)


def _layOver(composite, node) -> None:
    if not _isLaidOver(composite):
        composite.SetNodeReferenceID(_FOREGROUND_BEFORE, composite.GetForegroundVolumeID())
        composite.SetAttribute(_OPACITY_BEFORE, repr(composite.GetForegroundOpacity()))
    composite.SetNodeReferenceID(ROLE, node.GetID())
    composite.SetForegroundVolumeID(node.GetID())
    composite.SetForegroundOpacity(_OPACITY)


def _takeOff(composite) -> None:
    # Else the user has put something there meanwhile.
    if _isLaidOver(composite):
        composite.SetForegroundVolumeID(composite.GetNodeReferenceID(_FOREGROUND_BEFORE))
        composite.SetForegroundOpacity(float(composite.GetAttribute(_OPACITY_BEFORE)))
    composite.RemoveNodeReferenceIDs(_FOREGROUND_BEFORE)
    composite.RemoveNodeReferenceIDs(ROLE)
    composite.RemoveAttribute(_OPACITY_BEFORE)


def _isLaidOver(composite) -> bool:
    """Return whether a confidence volume, which may have been removed, is in front by our doing."""
    return composite.GetAttribute(
        _OPACITY_BEFORE
    ) is not None and composite.GetForegroundVolumeID() == composite.GetNodeReferenceID(ROLE)
