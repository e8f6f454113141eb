"""Nodes leave the scene: segmentations with what is theirs alone, and whoever knew them notices."""

from __future__ import annotations

import vtk

from GDLASegmenterLib.ModelRecord import recordsOf, removeRecord


def removeWithItsNodes(node) -> None:
    """Remove a segmentation node from its scene, with the nodes of its own, which would stay."""
    scene = node.GetScene()
    for record in recordsOf(node):
        removeRecord(node, record)
    others = [node.GetDisplayNode(), node.GetStorageNode()]
    for one in [node, *filter(None, others)]:
        scene.RemoveNode(one)


def weakReference(node) -> vtk.vtkWeakReference:
    """Return what has ``node`` as long as somebody else keeps it."""
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference
