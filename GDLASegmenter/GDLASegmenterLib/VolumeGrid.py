"""The place of a volume in the scene, remembered for when the node itself has changed or gone."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk

from GDLACore.errors import OutputError
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.LabelLayer import sameGrid


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
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    shape = volumeNode.GetImageData().GetDimensions()[::-1]
    return VolumeGrid(
        volumeNode.GetID(), volumeNode.GetName(), matrix, shape, volumeNode.GetTransformNodeID()
    )


def checkOutput(node, grid: VolumeGrid) -> None:
    """Raise OutputError if labels on ``grid`` cannot be written to the segmentation ``node``.

    An empty segmentation takes any. In another, the labels would have to be resampled to what is
    there, or what is there to them: either would change voxels that nobody asked to change.
    """
    name, volume = node.GetName(), grid.volumeName
    hint = "Choose another segmentation, or let a new one be created."
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        return
    if not segmentation.IsSourceRepresentationImageData():
        raise OutputError(f"{name} consists of surfaces, not of voxels.", hint)
    image = _referenceImage(segmentation)
    if image is not None and not sameGrid(image, grid.IJKToRAS):
        raise OutputError(f"{name} was made on another voxel grid than that of {volume}.", hint)
    if not _sameTransform(node, grid):
        raise OutputError(
            f"{name} and {volume} are under different transforms.",
            "Put both under the same transform in the Data module, or let a new segmentation be "
            "created.",
        )


def _referenceImage(segmentation):
    """Return an empty image on the grid that ``segmentation`` is edited and saved on, if any."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetConversionParameter(name)
    if not geometry:
        geometry = segmentation.DetermineCommonLabelmapGeometry(
            slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS
        )
    image = slicer.vtkOrientedImageData()
    if not geometry or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        geometry, image, False
    ):
        return None
    return image


def _sameTransform(node, grid: VolumeGrid) -> bool:
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
