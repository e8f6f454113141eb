"""The place of a volume in the scene, remembered for when the node itself has changed or gone."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk

from GDLACore.errors import OutputError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import Extent, isEmpty
from GDLASegmenterLib.LabelLayer import LABELMAP, sameGrid
from GDLASegmenterLib.ModelSegments import findSegments
from GDLASegmenterLib.VolumeInput import IJKToRASMatrix


@dataclass(frozen=True, eq=False)
class VolumeGrid:
    """The name, the voxel grid (without parent transforms) and the parents of a volume node."""

    volumeID: str
    volumeName: str
    IJKToRAS: vtk.vtkMatrix4x4
    shape: tuple[int, int, int]  # [k, j, i]
    transformID: str | None

    @property
    def extent(self) -> Extent:
        return self.slab(0, 0, self.shape[0] - 1)

    def slab(self, axis: int, first: int, last: int) -> Extent:
        """Return the extent of the slices from ``first`` to ``last`` along array axis ``axis``."""
        ends = [[0, self.shape[2] - 1], [0, self.shape[1] - 1], [0, self.shape[0] - 1]]
        ends[2 - axis] = [first, last]
        return tuple(end for pair in ends for end in pair)


def volumeGrid(volumeNode) -> VolumeGrid:
    """Return where ``volumeNode`` is now."""
    shape = volumeNode.GetImageData().GetDimensions()[::-1]
    return VolumeGrid(
        volumeNode.GetID(),
        volumeNode.GetName(),
        IJKToRASMatrix(volumeNode),
        shape,
        volumeNode.GetTransformNodeID(),
    )


def adoptGrid(node, grid: VolumeGrid, isNew: bool) -> None:
    """Give an empty segmentation node the transform and reference grid of the volume.

    A new one also comes into the volume's folder.
    """
    scene = node.GetScene()
    transformNode = scene.GetNodeByID(grid.transformID) if grid.transformID else None
    node.SetAndObserveTransformNodeID(transformNode.GetID() if transformNode else None)
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(
        grid.IJKToRAS, list(grid.extent)
    )
    node.GetSegmentation().SetConversionParameter(name, geometry)
    volumeNode = scene.GetNodeByID(grid.volumeID)
    if volumeNode is None:
        return
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    node.SetNodeReferenceID(role, grid.volumeID)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode)
    item = hierarchy.GetItemByDataNode(node)
    if volumeItem and item and isNew:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))


def checkOutput(node, grid: VolumeGrid, card: ModelCard) -> None:
    """Raise OutputError if ``card``'s labels on ``grid`` cannot be written to the segmentation.

    An empty segmentation takes any. In another, the labels would have to be resampled to what is
    there, or what is there to them: either would change voxels that nobody asked to change.
    """
    name, volume = node.GetName(), grid.volumeName
    hint = "Choose another segmentation, or let a new one be created."
    if browserOf(node) is not None:
        raise OutputError(f"{name} is a frame of a sequence, which may change to another.", hint)
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        return
    if segmentation.GetSourceRepresentationName() != LABELMAP:
        raise OutputError(f"{name} consists of surfaces or fractions, not of voxels.", hint)
    images = [
        segmentation.GetSegment(segmentID).GetRepresentation(LABELMAP)
        for segmentID in findSegments(segmentation, card).values()
    ]
    if None in images:
        raise OutputError(f"{name} has a segment without voxels.", hint)
    images = [image for image in dict.fromkeys(images) if not isEmpty(image.GetExtent())]
    if (reference := referenceImage(segmentation)) is not None:
        images.append(reference)
    if not all(sameGrid(image, grid.IJKToRAS) for image in images):
        raise OutputError(
            f"{name} was made on another voxel grid than that of {volume}.",
            f"{hint} A transform hardened on {name} alone has to be hardened on {volume}, too.",
        )
    if not sameTransform(node, grid):
        raise OutputError(
            f"{name} and {volume} are under different transforms.",
            "Put both under the same transform in the Data module, or let a new segmentation be "
            "created.",
        )


def isFor(segmentationNode, volumeNode) -> bool:
    """Whether what is found in ``volumeNode`` goes into ``segmentationNode`` if nobody says so.

    Not so if it was made of another volume, or holds something of one that was removed.
    """
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    source = segmentationNode.GetNodeReference(role)
    isEmpty = segmentationNode.GetSegmentation().GetNumberOfSegments() == 0
    return source is volumeNode or (source is None and isEmpty)


def browserOf(node):
    """Return the browser of the sequence that ``node`` is a frame of, None if there is none."""
    return slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)


def referenceImage(segmentation):
    """Return an empty image on the grid that ``segmentation`` is edited and saved on, if any."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetConversionParameter(name)
    if not geometry:
        geometry = segmentation.DetermineCommonLabelmapGeometry(
            slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS,
            None,  # of all segments
        )
    image = slicer.vtkOrientedImageData()
    if not geometry or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        geometry, image, False
    ):
        return None
    return image


def sameTransform(node, grid: VolumeGrid) -> bool:
    """Return whether ``node`` is where the volume is: under equal parent transforms, or none."""
    scene = node.GetScene()
    volumeTransform = scene.GetNodeByID(grid.transformID) if grid.transformID else None
    between = vtk.vtkMatrix4x4()
    linear = slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        volumeTransform, node.GetParentTransformNode(), between
    )
    return bool(linear) and all(
        abs(between.GetElement(row, column) - (row == column)) < 1e-6
        for row in range(4)
        for column in range(4)
    )
