"""Which slice of a volume the user is looking at, and how many there are."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.VolumeSlices import VolumeSlices


def sliceAxis(volume: Volume, card: ModelCard) -> int:
    """Return the array axis (0 = k) along which ``card``'s model slices ``volume``."""
    return slice_view(volume, card.slice_axis, card.view).axes[0]


def viewOf(volumeNode, slices: VolumeSlices):
    """Return the node of the slice view in which the user looks at ``slices`` of ``volumeNode``.

    It is the one that was moved last of those along the slices, of which those that show the volume
    come before others. If there is none along them, it is the one that is tilted least. None if no
    slice view is shown.
    """

    def order(sliceNode) -> tuple[int, float]:
        seen = slices.seenIn(sliceNode)
        if not seen.isAlong:
            return 0, seen.alignment
        # The matrix, unlike the node, is modified by nothing but moving.
        moved = sliceNode.GetSliceToRAS().GetMTime()
        return (2 if _shows(sliceNode, volumeNode) else 1), moved

    sliceNodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", volumeNode.GetScene())
    return max((node for node in sliceNodes if node.IsMappedInLayout()), key=order, default=None)


def viewedPoint(volumeNode, axis: int) -> tuple[float, float, float] | None:
    """Return the RAS point (mm) in the middle of the slice view in which the user looks at slices.

    ``axis`` is the array axis across the slices; see ``viewOf``. None if no slice view is shown.
    """
    sliceNode = viewOf(volumeNode, VolumeSlices.along(volumeNode, axis))
    return None if sliceNode is None else tuple(_pose(sliceNode)[:3, 3].tolist())


def showSlice(volumeNode, axis: int, index: int) -> None:
    """Move the slice view in which the user looks at slices to ``index``, and nothing sideways.

    A view that lies aslant comes to where its middle is in that slice; see ``viewOf``.
    """
    slices = VolumeSlices.along(volumeNode, axis)
    sliceNode = viewOf(volumeNode, slices)
    if sliceNode is None:
        return
    pose = _pose(sliceNode)
    middle, across = pose[:3, 3], pose[:3, 2]
    perMillimeter = float(slices.toIndex[:3] @ across)
    if abs(perMillimeter) > 1e-9:  # else it looks along the slices and shows all of them
        missing = (index - float(slices.toIndex @ [*middle, 1.0])) / perMillimeter
        sliceNode.JumpSliceByOffsetting(*(middle + missing * across).tolist())


def sliceAt(volume: Volume, axis: int, point: tuple[float, float, float]) -> int:
    """Return the slice along array axis ``axis`` that is nearest to the RAS ``point`` (mm)."""
    IJK = np.linalg.solve(volume.ijk_to_ras, [*point, 1.0])
    return int(np.clip(round(IJK[2 - axis]), 0, volume.shape[axis] - 1))


def _shows(sliceNode, volumeNode) -> bool:
    composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
    return composite is not None and volumeNode.GetID() in (
        composite.GetBackgroundVolumeID(),
        composite.GetForegroundVolumeID(),
    )


def _pose(sliceNode) -> np.ndarray:
    """Return the 4x4 matrix (mm) from the plane of a slice view, and across it, to RAS."""
    return slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
