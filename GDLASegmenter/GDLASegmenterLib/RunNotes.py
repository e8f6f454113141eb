"""What a run notes of the slices that it writes: what they held, and where they are from now."""

from __future__ import annotations

import numpy as np

from GDLASegmenterLib.RecordedSlices import RecordedSlices
from GDLASegmenterLib.SliceOrigins import SliceOrigin


class RunNotes:
    """The notes of one run, whose labels are of ``origin``.

    It stands for the run in the history, which outlives it. Indices are those of the grid that the
    run is about, and ``slices`` those of the record that has it.
    """

    def __init__(self, origin: SliceOrigin) -> None:
        self._origin = origin
        self._before: dict[int, SliceOrigin | None] = {}

    def change(self, slices: RecordedSlices, index: int, isSame: bool) -> bool:
        """Remember what slice ``index`` holds, which is about to be written.

        Nothing is to be remembered if ``isSame`` is written to it as a run had left there, unless
        it was released: so it was if that is returned.
        """
        there = slices.index(index)
        held, left = slices.held(there), slices.left(there)
        isReleased = not np.array_equal(held, left)
        before = self._before.setdefault(index, slices.origins.get(there))
        if isReleased or not isSame:
            slices.history.note(self, there, held, left, before)
        return isReleased

    def written(self, slices: RecordedSlices, index: int, count: int) -> None:
        """Note that at least ``count`` voxels of slice ``index`` are of this run now."""
        there = slices.index(index)
        isWhole = count == slices.left(there).size
        origin = self._origin if isWhole else self._origin.over(self._before[index])
        slices.noteOrigins({there: origin})

    def takeBack(self, slices: RecordedSlices, index: int) -> None:
        """Note that slice ``index`` holds again what it held before this run."""
        there = slices.index(index)
        slices.history.takeBack(self, there, slices.held(there), slices.left(there))
        slices.settle(there)
        slices.noteOrigins({there: self._before[index]})
