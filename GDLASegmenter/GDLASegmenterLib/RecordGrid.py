"""Where the voxels of a record are on the grid of a volume, which may be a part of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

import numpy as np
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from GDLACore.errors import OutputError
from GDLASegmenterLib.CommonVoxels import corners, stepsAround, stepsBetween, wholeSteps
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.SegmentLabels import turned
from GDLASegmenterLib.VolumeGrid import VolumeGrid, volumeGrid
from GDLASegmenterLib.VolumeInput import IJKToRASMatrix

_COPIED_AT_ONCE = 4  # slices

# A record grows only to so many times the voxels of the larger of two volumes, or to this many.
_FILLED, _SMALL = 4, 1 << 28


def stepsTo(recordNode, grid: VolumeGrid) -> np.ndarray | None:
    """Return the 4x4 map from indices of the node to those of ``grid``; see ``stepsBetween``."""
    return stepsBetween(*_places(recordNode, grid))


def voxelsOf(image) -> np.ndarray:
    """Return the memory of ``image`` as an array [k, j, i]."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def voxelsOn(recordNode, grid: VolumeGrid) -> np.ndarray | None:
    """Return the part of the node's voxels that ``grid`` has, [k, j, i] there, as a view.

    None if the grid has others, too.
    """
    image = recordNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    steps = stepsTo(recordNode, grid)
    if steps is None:
        return None
    first = -corners(steps, image.GetDimensions()[::-1])[0]
    return turned(voxelsOf(image), steps)[_box(first, grid.shape)]


def wholeGrid(recordNode, grid: VolumeGrid) -> VolumeGrid | None:
    """Return the grid of all voxels of the node, among which those of ``grid`` are in place.

    None if ``grid`` has others, too.
    """
    places = _places(recordNode, grid)
    if stepsAround(*places) is not None:
        return volumeGrid(recordNode)
    # Hardening a transform on a volume and its segmentation leaves what is recorded behind.
    return None if stepsBetween(*places) is None else grid


def gridAround(grid: VolumeGrid, extents: Iterable[Extent]) -> VolumeGrid:
    """Return ``grid`` continued as far as ``extents`` go, which are counted on it."""
    ends = np.reshape([grid.extent, *extents], (-1, 3, 2))
    first, last = ends[:, :, 0].min(axis=0), ends[:, :, 1].max(axis=0)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(grid.IJKToRAS)
    for row, corner in enumerate(grid.IJKToRAS.MultiplyPoint([*first.tolist(), 1])[:3]):
        matrix.SetElement(row, 3, corner)
    return replace(grid, IJKToRAS=matrix, shape=tuple((last - first + 1)[::-1].tolist()))


def continues(recordNode, grid: VolumeGrid) -> bool:
    """Whether ``grid`` continues that of the node with voxels that it lacks."""
    ofNode, _shape, ofGrid, _shapeOfGrid = _places(recordNode, grid)
    return stepsTo(recordNode, grid) is None and wholeSteps(ofNode, ofGrid) is not None


def canGrow(recordNode, grid: VolumeGrid) -> bool:
    """Whether ``grid`` continues that of the node, and is not too far away from it."""
    return continues(recordNode, grid) and not _isFar(recordNode, grid)


def checkDistance(segmentationNode, recordNode, grid: VolumeGrid) -> None:
    """Raise OutputError if the record cannot grow to ``grid``, which is so far away."""
    if continues(recordNode, grid) and _isFar(recordNode, grid):
        name, volume = segmentationNode.GetName(), grid.volumeName
        raise OutputError(
            f"{volume} is too far away from what a model left in {name}.",
            "Choose another segmentation, or let a new one be created.",
        )


def growInSteps(
    recordNode, grid: VolumeGrid, written: Callable[[], int]
) -> Generator[None, None, bool]:
    """Add the voxels of ``grid`` that the node lacks, as 0; return whether that was done.

    ``written`` returns another number whenever somebody wrote to the node: it is begun again then.
    """
    while canGrow(recordNode, grid):
        image, place, number = recordNode.GetImageData(), _places(recordNode, grid), written()
        added, after = _addedTo(recordNode, grid)
        grown = yield from _grownInSteps(image, after.shape, np.maximum(-added[0], 0))
        isSame = image is recordNode.GetImageData() and place == _places(recordNode, grid)
        if isSame and number == written():
            recordNode.SetAndObserveImageData(grown)
            recordNode.SetIJKToRASMatrix(after.IJKToRAS)
            return True
    return False


def copyInSteps(image, table: np.ndarray | None) -> Generator[None, None, vtk.vtkImageData]:
    """Return a copy of ``image``, with what ``table`` says of its values if there is one."""
    copy = vtk.vtkImageData()
    copy.CopyStructure(image)
    copy.AllocateScalars(image.GetScalarType(), 1)
    source, target = voxelsOf(image), voxelsOf(copy)
    for first in range(0, len(source), _COPIED_AT_ONCE):
        part = source[first : first + _COPIED_AT_ONCE]
        target[first : first + _COPIED_AT_ONCE] = part if table is None else table.take(part)
        yield
    return copy


def _grownInSteps(
    image, shape: tuple[int, int, int], first: np.ndarray
) -> Generator[None, None, vtk.vtkImageData]:
    """Return an image of ``shape`` [k, j, i] with ``image`` from ``first`` i, j, k on, else 0."""
    grown = vtk.vtkImageData()
    grown.SetDimensions(shape[::-1])
    grown.AllocateScalars(image.GetScalarType(), 1)
    source, target = voxelsOf(image), voxelsOf(grown)
    slices, *inside = _box(first, source.shape)
    for start in range(0, shape[0], _COPIED_AT_ONCE):
        target[start : start + _COPIED_AT_ONCE] = 0
        for k in range(max(start, slices.start), min(start + _COPIED_AT_ONCE, slices.stop)):
            target[(k, *inside)] = source[k - slices.start]
        yield
    return grown


def _addedTo(recordNode, grid: VolumeGrid) -> tuple[np.ndarray, VolumeGrid]:
    """Return the ``corners`` of ``grid`` on that of the node, and the grid around both."""
    ofNode, _shape, ofGrid, _shapeOfGrid = _places(recordNode, grid)
    added = corners(np.linalg.inv(wholeSteps(ofNode, ofGrid)), grid.shape)
    return added, gridAround(volumeGrid(recordNode), [added.T.ravel().tolist()])


def _isFar(recordNode, grid: VolumeGrid) -> bool:
    """Whether most of the grid around both would be between them, and that is a lot of memory."""
    _ofNode, shape, _ofGrid, shapeOfGrid = _places(recordNode, grid)
    _added, around = _addedTo(recordNode, grid)
    most = max(_SMALL, _FILLED * math.prod(shape), _FILLED * math.prod(shapeOfGrid))
    return math.prod(around.shape) > most


def _box(first: np.ndarray, shape: tuple[int, int, int]) -> tuple[slice, ...]:
    """Return the part of an array [k, j, i] of that ``shape``, from the indices i, j, k."""
    return tuple(slice(k, k + size) for k, size in zip(first[::-1].tolist(), shape, strict=True))


def _places(recordNode, grid: VolumeGrid) -> tuple[bytes, tuple, bytes, tuple]:
    """Return matrix and shape [k, j, i] of the node, and those of ``grid``."""
    return (
        slicer.util.arrayFromVTKMatrix(IJKToRASMatrix(recordNode)).tobytes(),
        recordNode.GetImageData().GetDimensions()[::-1],
        slicer.util.arrayFromVTKMatrix(grid.IJKToRAS).tobytes(),
        tuple(grid.shape),
    )
