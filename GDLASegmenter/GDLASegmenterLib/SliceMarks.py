"""Which slices of a segmentation are reviewed, noted in the node itself and saved with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import slicer
import slicer.util
import vtk

from GDLASegmenterLib.CommonVoxels import stepsInPlace, wholeSteps
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_ATTRIBUTE = "GDLA.Reviewed"
_SAME = tuple((axis, 1, 0) for axis in range(3))

_Place = tuple[int, int]  # array axis and index of a slice

# For each array axis of one grid: the axis of another, and by what an index there is found.
_AxisMap = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class SliceMarks:
    """``ticked`` are (axis, index) of slices, ``edited`` the same by the name of a model.

    ``released`` are, by the name of a model, slices whose edits runs may overwrite, each with the
    digest of what it held then: holding something else, it is edited again. Axes are array axes
    (0 = k), and indices count stored slices of one grid; a crop of it lacks some of them.
    """

    ticked: frozenset[_Place] = frozenset()
    edited: dict[str, frozenset[_Place]] = field(default_factory=dict)
    released: dict[str, dict[_Place, str]] = field(default_factory=dict)

    def along(self, axis: int, count: int) -> frozenset[int]:
        """Return which of ``count`` slices along ``axis`` are ticked or edited."""
        return onAxis(self.ticked.union(*self.edited.values()), axis, count)

    def withEdited(self, model: str, slices: Iterable[_Place]) -> SliceMarks:
        """Return these marks, but with ``slices`` as those in which ``model``'s were edited."""
        edited = {one: found for one, found in self.edited.items() if one != model}
        if slices := frozenset(slices):
            edited[model] = slices
        return replace(self, edited=edited)

    def withReleased(self, model: str, released: dict[_Place, str]) -> SliceMarks:
        """Return these marks, but with ``released`` as those of ``model``."""
        others = {one: found for one, found in self.released.items() if one != model}
        return replace(self, released={**others, model: released} if released else others)

    def withoutRecord(self, model: str) -> SliceMarks:
        """Return these marks when nobody can tell any more what ``model`` left: edits are ticked.

        Nor can anybody tell whether those edits were undone.
        """
        ticked = self.ticked | self.edited.get(model, frozenset())
        return replace(self, ticked=ticked).withEdited(model, ()).withReleased(model, {})


def onAxis(slices: Iterable[_Place], axis: int, count: int) -> frozenset[int]:
    return frozenset(index for one, index in slices if one == axis and 0 <= index < count)


def readMarks(segmentationNode, grid: VolumeGrid) -> SliceMarks | None:
    """Return the marks of ``segmentationNode`` as slices of ``grid``.

    The grid may count from another corner and in another order than the one on which they were
    noted, or have been moved as a whole. None if it is another one altogether.
    """
    text = segmentationNode.GetAttribute(_ATTRIBUTE)
    if not text:
        return SliceMarks()
    matrix = slicer.util.arrayFromVTKMatrix(grid.IJKToRAS).tobytes()
    return _marksOn(text, matrix, tuple(grid.shape), _referenceOf(segmentationNode))


def writeMarks(segmentationNode, grid: VolumeGrid, marks: SliceMarks) -> None:
    """Note ``marks``, which are slices of ``grid``, in ``segmentationNode``."""
    if marks == readMarks(segmentationNode, grid):
        return
    stored = {
        "IJKToRAS": slicer.util.arrayFromVTKMatrix(grid.IJKToRAS).tolist(),
        "shape": list(grid.shape),
        "reference": _referenceOf(segmentationNode),
        "ticked": sorted(marks.ticked),
        "edited": {model: sorted(found) for model, found in sorted(marks.edited.items())},
        "released": {
            model: [(*place, digest) for place, digest in sorted(found.items())]
            for model, found in sorted(marks.released.items())
        },
    }
    segmentationNode.SetAttribute(_ATTRIBUTE, json.dumps(stored, separators=(",", ":")))


@lru_cache(maxsize=8)  # asked for before each slice that is written
def _marksOn(
    text: str, matrix: bytes, shape: tuple[int, int, int], reference: str
) -> SliceMarks | None:
    stored = json.loads(text)
    steps = _axisMap(stored, matrix, shape, reference)
    if steps is None:
        return None
    return SliceMarks(
        frozenset(_mapped(*place, steps) for place in stored["ticked"]),
        {
            model: frozenset(_mapped(*place, steps) for place in found)
            for model, found in stored["edited"].items()
        },
        {
            model: {_mapped(axis, index, steps): digest for axis, index, digest in found}
            for model, found in stored["released"].items()
        },
    )


def _axisMap(
    stored: dict, matrix: bytes, shape: tuple[int, int, int], reference: str
) -> _AxisMap | None:
    """Return where slices of the ``stored`` grid are on another; None if nowhere there."""
    there = np.array(stored["IJKToRAS"]).tobytes()
    steps = wholeSteps(there, matrix)
    isMoved = steps is None or _isMoved(stored["reference"], reference)
    if stored["shape"] == list(shape) and isMoved:
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


def _isMoved(before: str, after: str) -> bool:
    """Whether a segmentation was moved, by its reference grids ``before`` and ``after``.

    Slicer moves that grid with it. Reading a file back may store it in another order.
    """
    if before == after:
        return False
    grids = _gridOf(before), _gridOf(after)
    return None in grids or stepsInPlace(*grids[0], *grids[1]) is None


def _referenceOf(segmentationNode) -> str:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return segmentationNode.GetSegmentation().GetConversionParameter(name)


def _gridOf(reference: str) -> tuple[bytes, tuple[int, int, int]] | None:
    """Return matrix and shape [k, j, i] of a ``reference`` grid as Slicer writes it."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    if not slicer.vtkSegmentationConverter.DeserializeImageGeometry(reference, image, False):
        return None
    image.GetImageToWorldMatrix(matrix)
    voxels = slicer.util.arrayFromVTKMatrix(matrix)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels[:3, 3] += voxels[:3, :3] @ [i0, j0, k0]
    return voxels.tobytes(), (k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)


def _mapped(axis: int, index: int, steps: _AxisMap) -> _Place:
    other, sign, offset = steps[axis]
    return other, sign * index + offset
