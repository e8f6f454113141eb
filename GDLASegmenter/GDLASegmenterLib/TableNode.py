"""Tables about a segmentation, as nodes of the scene."""

from __future__ import annotations

from collections.abc import Sequence

import slicer
import vtk


def addTableNode(segmentationNode, name: str, columns: Sequence[vtk.vtkAbstractArray]):
    """Add a table called ``name``, or nearly so, beside ``segmentationNode``; return its node."""
    scene = segmentationNode.GetScene()
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    for column in columns:
        tableNode.AddColumn(column)
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(tableNode)
    if item:
        ofSegmentation = hierarchy.GetItemByDataNode(segmentationNode)
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(ofSegmentation))
    return tableNode


def column(name: str, kind: type[vtk.vtkAbstractArray], values: Sequence):
    """Return a column called ``name`` of ``values``."""
    array = kind()
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array
