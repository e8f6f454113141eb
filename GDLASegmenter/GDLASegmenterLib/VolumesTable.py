"""The volume of every segment, in a table node."""

from __future__ import annotations

import numpy as np
import vtk
from slicer.i18n import tr as _

from GDLACore.errors import OutputError
from GDLASegmenterLib.Extent import isEmpty
from GDLASegmenterLib.LabelLayer import LABELMAP, LabelLayer, layersOf
from GDLASegmenterLib.TableNode import addTableNode, column


def addVolumesTable(segmentationNode):
    """Add a table with the name and the volume (mL) of every segment, and return its node.

    The voxels are counted as they are stored; parent transforms that scale count too. Raises
    OutputError if there are no voxels to count, or a transform bends them.
    """
    segmentation = segmentationNode.GetSegmentation()
    name = segmentationNode.GetName()
    if not segmentation.ContainsRepresentation(LABELMAP):
        raise OutputError(
            _("{name} has no voxels to count.").format(name=name),
            _("In the Segmentations module, create its binary labelmap first."),
        )
    scale = transformScale(segmentationNode) / 1000
    volumes = {}
    for layer in layersOf(segmentation, segmentation.GetSegmentIDs()):
        counts = _counts(layer)
        for segmentID in layer.segmentIDs:
            count = counts.get(segmentation.GetSegment(segmentID).GetLabelValue(), 0)
            volumes[segmentID] = count * _voxelVolume(layer.image) * scale
    return _tableNode(segmentationNode, volumes)


def _counts(layer: LabelLayer) -> dict[int, int]:
    """Return how many voxels have each value; slice by slice, for counting takes 8 bytes each."""
    counts: dict[int, int] = {}
    for voxels in () if isEmpty(layer.extent) else layer.array():
        found = np.bincount(voxels.ravel())
        for value in np.flatnonzero(found).tolist():
            counts[value] = counts.get(value, 0) + int(found[value])
    return counts


def _voxelVolume(image) -> float:
    """Return the volume of a voxel in mm³."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return abs(matrix.Determinant())


def transformScale(segmentationNode) -> float:
    """Return by what the segmentation's parent transforms multiply volumes.

    Raises OutputError if one of them bends it.
    """
    transformNode = segmentationNode.GetParentTransformNode()
    if transformNode is None:
        return 1.0
    if not transformNode.IsTransformToWorldLinear():
        raise OutputError(
            _("{name} is under a transform that bends it.").format(name=segmentationNode.GetName()),
            _("Harden the transform on a copy of the segmentation, and measure the copy."),
        )
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return abs(matrix.Determinant())


def _tableNode(segmentationNode, volumes: dict[str, float]):
    segmentation = segmentationNode.GetSegmentation()
    segmentIDs = segmentation.GetSegmentIDs()
    names = [segmentation.GetSegment(one).GetName() for one in segmentIDs]
    numbers = [round(volumes[one], 3) for one in segmentIDs]
    return addTableNode(
        segmentationNode,
        _("{name} volumes").format(name=segmentationNode.GetName()),
        (
            column(_("Segment"), vtk.vtkStringArray, names),
            column(_("Volume [mL]"), vtk.vtkDoubleArray, numbers),
        ),
    )
