"""The volume of every segment, in a table node."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from GDLASegmenterLib.LabelLayer import layersOf


def addVolumesTable(segmentationNode):
    """Add a table with the name and the volume (mL) of every segment, and return its node.

    The voxels are counted as they are stored; a parent transform that scales counts too.
    """
    segmentation = segmentationNode.GetSegmentation()
    volumes = {}
    for layer in layersOf(segmentation, segmentation.GetSegmentIDs()):
        voxels = _voxelVolume(layer.image) * _scale(segmentationNode) / 1000
        array = layer.array().ravel() if layer.image.GetPointData().GetScalars() else ()
        counts = np.bincount(array, minlength=1) if len(array) else np.zeros(1, int)
        for segmentID in layer.segmentIDs:
            value = segmentation.GetSegment(segmentID).GetLabelValue()
            volumes[segmentID] = voxels * (counts[value] if value < len(counts) else 0)
    return _tableNode(segmentationNode, volumes)


def _voxelVolume(image) -> float:
    """Return the volume of a voxel in mm³."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return abs(matrix.Determinant())


def _scale(segmentationNode) -> float:
    """Return by what the segmentation's parent transforms, if linear, multiply volumes."""
    transformNode = segmentationNode.GetParentTransformNode()
    if transformNode is None or not transformNode.IsTransformToWorldLinear():
        return 1.0
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return abs(matrix.Determinant())


def _tableNode(segmentationNode, volumes: dict[str, float]):
    names = vtk.vtkStringArray()
    names.SetName(_("Segment"))
    numbers = vtk.vtkDoubleArray()
    numbers.SetName(_("Volume [mL]"))
    segmentation = segmentationNode.GetSegmentation()
    for segmentID in segmentation.GetSegmentIDs():
        names.InsertNextValue(segmentation.GetSegment(segmentID).GetName())
        numbers.InsertNextValue(round(float(volumes[segmentID]), 3))
    scene = segmentationNode.GetScene()
    name = scene.GenerateUniqueName(_("{name} volumes").format(name=segmentationNode.GetName()))
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    tableNode.AddColumn(names)
    tableNode.AddColumn(numbers)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(tableNode)
    if item:
        ofSegmentation = hierarchy.GetItemByDataNode(segmentationNode)
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(ofSegmentation))
    return tableNode
