"""Nodes that belong to one segmentation, which a copy of it refers to as well."""

from __future__ import annotations

import slicer.util


def isShared(node, role: str) -> bool:
    """Return whether several segmentations refer to ``node`` as their ``role``.

    So it is after one of them was copied: copies take references along.
    """
    users = [
        one
        for one in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", node.GetScene())
        if one.HasNodeReferenceID(role, node.GetID())
    ]
    return len(users) > 1
