"""Slice views as far as the scene knows of them, which need nothing to draw with."""

from __future__ import annotations

import numpy as np
import slicer

from GDLASegmenterLib.VolumeInput import IJKToWorldMatrix

# across and along the slices that a view shows (RAS)
_PLANES = {
    "Axial": ((0, 0, 1), (-1, 0, 0)),
    "Coronal": ((0, 1, 0), (-1, 0, 0)),
    "Sagittal": ((-1, 0, 0), (0, -1, 0)),
}


def add_slice_node(
    name: str, orientation: str = "Axial", is_shown: bool = True
) -> slicer.vtkMRMLSliceNode:
    """Add the view called ``name``, 40 mm wide and high, at the origin.

    The test is to remove it: closing a scene keeps its views.
    """
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName(name)
    node = slicer.mrmlScene.AddNode(node)
    normal, along = _PLANES[orientation]
    node.SetSliceToRASByNTP(*normal, *along, 0, 0, 0, 0)
    node.SetFieldOfView(40, 40, 1)
    node.SetMappedInLayout(is_shown)
    return node


def go_to(node: slicer.vtkMRMLSliceNode, volume, index: float, axis: int = 0) -> None:
    """Let the view go to the slice ``index`` along array axis ``axis``, its middle the volume's."""
    ijk = np.subtract(volume.GetImageData().GetDimensions(), 1) / 2
    ijk[2 - axis] = index
    node.JumpSliceByCentering(*(IJKToWorldMatrix(volume) @ [*ijk, 1])[:3])


def tilt(node: slicer.vtkMRMLSliceNode, degrees: float) -> None:
    """Turn the view about its own horizontal axis, in its middle."""
    matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(4)
    turn[1:3, 1:3] = [[cos, -sin], [sin, cos]]
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix @ turn))
    node.UpdateMatrices()
