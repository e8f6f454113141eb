"""Keeps the subject hierarchy as Slicer's Qt plugins do: data that comes in or goes is in the tree.

The tree itself (vtkMRMLSubjectHierarchyNode) is real; that a node gets an item when it is added
and loses it when it is removed is the work of qSlicerSubjectHierarchyPluginLogic, which needs Qt.
Of the plugins' own work (items for single segments, icons, menus) there is nothing.
"""

from __future__ import annotations

import slicer
import vtk

# The classes that one of Slicer's plugins takes into the tree, of those that are used here.
_DATA = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLSequenceBrowserNode",
)


class SubjectHierarchyUpkeep:
    """Observes ``scene`` for as long as both exist."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._on_added)
        scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._on_removed)
        scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._on_imported)
        scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._on_closed)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, scene: object, event: str, node: slicer.vtkMRMLNode) -> None:
        if not self._scene.IsImporting():
            self._add(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, scene: object, event: str, node: slicer.vtkMRMLNode) -> None:
        if self._scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        tree = self._scene.GetSubjectHierarchyNode()
        if item := tree.GetItemByDataNode(node):
            tree.RemoveItem(item, False, False)

    def _on_imported(self, scene: object, event: str) -> None:
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self._scene)
        for index in range(self._scene.GetNumberOfNodes()):
            self._add(self._scene.GetNthNode(index))

    def _on_closed(self, scene: object, event: str) -> None:
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self._scene)

    def _add(self, node: slicer.vtkMRMLNode) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(name) for name in _DATA):
            return
        tree = self._scene.GetSubjectHierarchyNode()
        if not tree.GetItemByDataNode(node):
            tree.CreateItem(tree.GetSceneItemID(), node)
