"""Where slices that something was noted of are on another grid of the same voxels."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from GDLASegmenterLib.CommonVoxels import stepsInPlace, wholeSteps
from GDLASegmenterLib.VolumeGrid import VolumeGrid

REFERENCE = "GDLA.Reference"  # attribute of a record: the ``referenceOf`` its segmentation then

Place = tuple[int, int]  # array axis (0 = k) and index of a slice

# For each array axis of one grid: the axis of another, and by what an index there is found.
AxisMap = tuple[tuple[int, int, int], ...]

_SAME = tuple((axis, 1, 0) for axis in range(3))


def noteOf(segmentationNode, grid: VolumeGrid) -> dict:
    """Return what is to be kept, as JSON, with slices of ``grid`` to find them by ``axisMap``."""
    return {
        "IJKToRAS": slicer.util.arrayFromVTKMatrix(grid.IJKToRAS).tolist(),
        "shape": list(grid.shape),
        "reference": referenceOf(segmentationNode),
    }


def axisMap(
    note: dict, matrix: bytes, shape: tuple[int, int, int], reference: str
) -> AxisMap | None:
    """Return where slices of the grid in ``note`` are on another; None if nowhere there.

    That has the bytes ``matrix`` of its map to RAS, and ``shape`` [k, j, i]. It may count from
    another corner and in another order, or have been moved as a whole with the segmentation, whose
    ``referenceOf`` is ``reference`` now.
    """
    there = np.array(note["IJKToRAS"]).tobytes()
    steps = wholeSteps(there, matrix)
    isMoved = steps is None or _isMoved(note["reference"], reference)
    if note["shape"] == list(shape) and isMoved:
        if stepsInPlace(there, shape, matrix, shape) is None:
            # A transform was hardened on the volume and its segmentations alike: the same voxels.
            return _SAME
    if steps is None:
        return None
    whole = np.round(steps).astype(int)
    rows = [int(np.abs(whole[:3, 2 - axis]).argmax()) for axis in range(3)]
    return tuple(
        (2 - row, int(whole[row, 2 - axis]), int(whole[row, 3])) for axis, row in enumerate(rows)
    )


def placeOn(axis: int, index: int, steps: AxisMap) -> Place:
    """Return where slice ``index`` along ``axis`` is."""
    other, sign, offset = steps[axis]
    return other, sign * index + offset


def matrixOf(grid: VolumeGrid) -> bytes:
    return slicer.util.arrayFromVTKMatrix(grid.IJKToRAS).tobytes()


def _isMoved(before: str, after: str) -> bool:
    """Whether a segmentation was moved, by its reference grids ``before`` and ``after``.

    Slicer moves that grid with it. Reading a file back may store it in another order.
    """
    if before == after:
        return False
    grids = gridOf(before), gridOf(after)
    return None in grids or stepsInPlace(*grids[0], *grids[1]) is None


def referenceOf(segmentationNode) -> str:
    """Return the grid that ``segmentationNode`` is edited on, as Slicer writes it."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return segmentationNode.GetSegmentation().GetConversionParameter(name)


def gridOf(reference: str) -> tuple[bytes, tuple[int, int, int]] | None:
    """Return matrix and shape [k, j, i] of a ``reference`` grid as Slicer writes it."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    converter = slicer.vtkSegmentationConverter
    if not reference or not converter.DeserializeImageGeometry(reference, image, False):
        return None
    image.GetImageToWorldMatrix(matrix)
    voxels = slicer.util.arrayFromVTKMatrix(matrix)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels[:3, 3] += voxels[:3, :3] @ [i0, j0, k0]
    return voxels.tobytes(), (k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
