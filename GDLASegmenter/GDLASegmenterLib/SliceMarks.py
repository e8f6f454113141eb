"""Which slices of a segmentation are reviewed, noted in the node itself and saved with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from GDLASegmenterLib.NotedGrid import Place, axisMap, matrixOf, noteOf, placeOn, referenceOf
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_ATTRIBUTE = "GDLA.Reviewed"


@dataclass(frozen=True)
class SliceMarks:
    """``ticked`` are (axis, index) of slices, ``edited`` the same by the name of a model.

    ``released`` are, by the name of a model, slices whose edits runs may overwrite, each with the
    digest of what it held then: holding something else, it is edited again. Axes are array axes
    (0 = k), and indices count stored slices of one grid; a crop of it lacks some of them.
    """

    ticked: frozenset[Place] = frozenset()
    edited: dict[str, frozenset[Place]] = field(default_factory=dict)
    released: dict[str, dict[Place, str]] = field(default_factory=dict)

    def along(self, axis: int, count: int) -> frozenset[int]:
        """Return which of ``count`` slices along ``axis`` are ticked or edited."""
        return onAxis(self.ticked.union(*self.edited.values()), axis, count)

    def withEdited(self, model: str, slices: Iterable[Place]) -> SliceMarks:
        """Return these marks, but with ``slices`` as those in which ``model``'s were edited."""
        edited = {one: found for one, found in self.edited.items() if one != model}
        if slices := frozenset(slices):
            edited[model] = slices
        return replace(self, edited=edited)

    def withReleased(self, model: str, released: dict[Place, str]) -> SliceMarks:
        """Return these marks, but with ``released`` as those of ``model``."""
        others = {one: found for one, found in self.released.items() if one != model}
        return replace(self, released={**others, model: released} if released else others)

    def withoutRecord(self, model: str) -> SliceMarks:
        """Return these marks when nobody can tell any more what ``model`` left: edits are ticked.

        Nor can anybody tell whether those edits were undone.
        """
        ticked = self.ticked | self.edited.get(model, frozenset())
        return replace(self, ticked=ticked).withEdited(model, ()).withReleased(model, {})


def onAxis(slices: Iterable[Place], axis: int, count: int) -> frozenset[int]:
    return frozenset(index for one, index in slices if one == axis and 0 <= index < count)


def readMarks(segmentationNode, grid: VolumeGrid) -> SliceMarks | None:
    """Return the marks of ``segmentationNode`` as slices of ``grid``.

    The grid may count from another corner and in another order than the one on which they were
    noted, or have been moved as a whole. None if it is another one altogether.
    """
    text = segmentationNode.GetAttribute(_ATTRIBUTE)
    if not text:
        return SliceMarks()
    return _marksOn(text, matrixOf(grid), tuple(grid.shape), referenceOf(segmentationNode))


def writeMarks(segmentationNode, grid: VolumeGrid, marks: SliceMarks) -> None:
    """Note ``marks``, which are slices of ``grid``, in ``segmentationNode``."""
    if marks == readMarks(segmentationNode, grid):
        return
    stored = {
        **noteOf(segmentationNode, grid),
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
    steps = axisMap(stored, matrix, shape, reference)
    if steps is None:
        return None
    return SliceMarks(
        frozenset(placeOn(*place, steps) for place in stored["ticked"]),
        {
            model: frozenset(placeOn(*place, steps) for place in found)
            for model, found in stored["edited"].items()
        },
        {
            model: {placeOn(axis, index, steps): digest for axis, index, digest in found}
            for model, found in stored["released"].items()
        },
    )
