"""Segmentations leave the scene together with what is theirs alone."""

from __future__ import annotations

from GDLASegmenterLib.ModelRecord import recordsOf, removeRecord


def removeWithItsNodes(node) -> None:
    """Remove a segmentation node from its scene, with the nodes of its own, which would stay."""
    scene = node.GetScene()
    for record in recordsOf(node):
        removeRecord(node, record)
    others = [node.GetDisplayNode(), node.GetStorageNode()]
    for one in [node, *filter(None, others)]:
        scene.RemoveNode(one)
