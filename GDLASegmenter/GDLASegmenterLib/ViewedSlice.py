"""Which slice of a volume the user is looking at, and how many there are."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard


def sliceAxis(volume: Volume, card: ModelCard) -> int:
    """Return the array axis (0 = k) along which ``card``'s model slices ``volume``."""
    return slice_view(volume, card.slice_axis, card.view).axes[0]


def viewOf(scene, volume: Volume, axis: int):
    """Return the node of the slice view that shows such slices best, None if none is shown.

    ``axis`` is the array axis across the slices.
    """
    normal = _direction(volume, axis)
    best, found = -1.0, None
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        alignment = abs(float(_pose(sliceNode)[:3, 2] @ normal))
        if sliceNode.IsMappedInLayout() and alignment > best:
            best, found = alignment, sliceNode
    return found


def viewedPoint(scene, volume: Volume, axis: int) -> tuple[float, float, float] | None:
    """Return the RAS point (mm) in the middle of the slice view that shows such slices best.

    ``axis`` is the array axis across the slices. None if no slice view is shown.
    """
    sliceNode = viewOf(scene, volume, axis)
    return None if sliceNode is None else tuple(_pose(sliceNode)[:3, 3].tolist())


def showSlice(scene, volume: Volume, axis: int, index: int) -> None:
    """Move the slice view that shows such slices best to slice ``index``, and nothing sideways.

    A view that lies aslant comes to where its middle is in that slice.
    """
    sliceNode = viewOf(scene, volume, axis)
    if sliceNode is None:
        return
    pose = _pose(sliceNode)
    middle, across = pose[:3, 3], pose[:3, 2]
    RASToIndex = np.linalg.inv(volume.ijk_to_ras)[2 - axis]
    perMillimeter = float(RASToIndex[:3] @ across)
    if abs(perMillimeter) > 1e-9:  # else it looks along the slices and shows all of them
        missing = (index - float(RASToIndex @ [*middle, 1.0])) / perMillimeter
        sliceNode.JumpSliceByOffsetting(*(middle + missing * across).tolist())


def sliceAt(volume: Volume, axis: int, point: tuple[float, float, float]) -> int:
    """Return the slice along array axis ``axis`` that is nearest to the RAS ``point`` (mm)."""
    IJK = np.linalg.solve(volume.ijk_to_ras, [*point, 1.0])
    return int(np.clip(round(IJK[2 - axis]), 0, volume.shape[axis] - 1))


def _direction(volume: Volume, axis: int) -> np.ndarray:
    across = volume.ijk_to_ras[:3, 2 - axis]
    return across / np.linalg.norm(across)


def _pose(sliceNode) -> np.ndarray:
    """Return the 4x4 matrix (mm) from the plane of a slice view, and across it, to RAS."""
    return slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
