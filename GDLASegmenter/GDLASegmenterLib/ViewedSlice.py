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


def viewedPoint(scene, volume: Volume, axis: int) -> tuple[float, float, float] | None:
    """Return the RAS point (mm) in the middle of the slice view that shows such slices best.

    ``axis`` is the array axis across the slices. None if no slice view is shown.
    """
    normal = volume.ijk_to_ras[:3, 2 - axis] / np.linalg.norm(volume.ijk_to_ras[:3, 2 - axis])
    best, point = -1.0, None
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        sliceToRAS = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
        alignment = abs(float(sliceToRAS[:3, 2] @ normal))
        if sliceNode.IsMappedInLayout() and alignment > best:
            best, point = alignment, tuple(sliceToRAS[:3, 3].tolist())
    return point


def sliceAt(volume: Volume, axis: int, point: tuple[float, float, float]) -> int:
    """Return the slice along array axis ``axis`` that is nearest to the RAS ``point`` (mm)."""
    IJK = np.linalg.solve(volume.ijk_to_ras, [*point, 1.0])
    return int(np.clip(round(IJK[2 - axis]), 0, volume.shape[axis] - 1))
