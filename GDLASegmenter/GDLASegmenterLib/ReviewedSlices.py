"""The slices of a segmentation that the user edited or ticked, which nothing of ours changes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from GDLACore.errors import Cancelled, OutputError
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.LabelLayer import boxOf
from GDLASegmenterLib.ModelRecord import (
    ModelRecord,
    isOwn,
    newRecord,
    ownRecord,
    recordOf,
    recordsOf,
)
from GDLASegmenterLib.ModelSegments import modelsIn
from GDLASegmenterLib.SegmentLabels import SegmentLabels, segmentLabels
from GDLASegmenterLib.SliceMarks import SliceMarks, onAxis, readMarks, writeMarks
from GDLASegmenterLib.VolumeGrid import VolumeGrid, browserOf

_COMPARED_AT_ONCE = 4  # slices, before a run


class ReviewedSlices:
    """Which slices along array axis ``axis`` of ``grid`` are reviewed in ``segmentationNode``.

    It holds nothing itself: what is noted is in the node, saved with the scene, and the same for
    everybody who asks. ``edited`` is what the last ``refresh`` found. A slice along one axis is
    protected from runs along all axes, and from those of all models.
    """

    def __init__(self, segmentationNode, grid: VolumeGrid, axis: int) -> None:
        self._node = segmentationNode
        self._grid = grid
        self._axis = axis

    @property
    def protected(self) -> frozenset[int]:
        """The slices that are edited or ticked."""
        return self._marks.along(self._axis, self._count)

    @property
    def edited(self) -> frozenset[int]:
        """The slices in which a model's segments are not what a run last left there."""
        return onAxis(frozenset().union(*self._marks.edited.values()), self._axis, self._count)

    def editedOf(self, model: str) -> frozenset[int]:
        """Return the slices in which the segments of that model are edited."""
        return onAxis(self._marks.edited.get(model, ()), self._axis, self._count)

    @property
    def ticked(self) -> frozenset[int]:
        """The slices that the user said are good as they are."""
        return onAxis(self._marks.ticked, self._axis, self._count)

    def tick(self, index: int) -> None:
        """Protect slice ``index`` as it is.

        Raises OutputError if what is noted cannot be found on the grid.
        """
        self._checkGrid()
        marks, place = self._marks, (self._axis, index)
        for record in recordsOf(self._node):
            released = dict(marks.released.get(record.model, {}))
            if released.pop(place, None):
                marks = marks.withReleased(record.model, released)
                record.lookedAt = None  # what was edited in it counts again
        marks = replace(marks, ticked=marks.ticked | {place})
        writeMarks(self._node, self._grid, marks)

    def release(self, index: int) -> None:
        """Let runs change slice ``index`` again, as long as it holds what it holds now.

        What a model left in it stays on record. Raises OutputError as ``tick`` does.
        """
        self._checkGrid()
        for record in recordsOf(self._node):
            self.settle(index, record)
        marks, one = self._marks, {(self._axis, index)}
        for model, found in marks.edited.items():
            marks = marks.withEdited(model, found - one)
        writeMarks(self._node, self._grid, replace(marks, ticked=marks.ticked - one))

    def settle(self, index: int, record: ModelRecord) -> None:
        """Note that what is in slice ``index`` now is for runs to change.

        Of ``record``'s model, that is: nothing is to be noted where it is what the record has.
        """
        now = record.read(self._node.GetSegmentation(), self._grid)
        if now is None or record.axis(self._grid) != self._axis:
            return
        marks, slab = self._marks, self._slab(self._axis, index)
        released = dict(marks.released.get(record.model, {}))
        released.pop((self._axis, index), None)
        if not record.isUnedited(now, self._grid, slab):
            released[self._axis, index] = record.digest(now, self._grid, slab)
        writeMarks(self._node, self._grid, marks.withReleased(record.model, released))

    def refresh(self) -> Generator[None, None, None]:
        """Find out which slices are edited; each step takes some milliseconds.

        Nothing is done if nothing was changed since the last time. Undoing a whole run, or doing it
        again, is no edit; undoing an edit leaves none. What is found in segments for the first time
        counts as the model's: so it is after loading a file of segments alone. Nothing is done if
        what is noted cannot be found on the grid, and would be lost.
        """
        if readMarks(self._node, self._grid) is None:
            return
        for known in recordsOf(self._node):
            # What is undone in a copy of the segmentation is not undone in this one.
            record = yield from ownRecord(self._node, known)
            if record is not None:
                yield from self._lookAt(record)
        marks = self._marks
        records = {record.model for record in recordsOf(self._node)}
        for model in {*marks.edited, *marks.released} - records:
            marks = marks.withoutRecord(model)
        writeMarks(self._node, self._grid, marks)
        yield from self._recordOthers()

    @property
    def isCurrent(self) -> bool:
        """Whether nothing was changed since the last ``refresh``."""
        segmentation, records = self._node.GetSegmentation(), recordsOf(self._node)
        return readMarks(self._node, self._grid) is None or (
            set(self._marks.edited) <= {record.model for record in records}
            and all(one.lookedAt == one.state(segmentation, self._grid) for one in records)
            and all(isOwn(self._node, one) for one in records)
            and not self._unrecorded()
        )

    def isEdited(self, model: str) -> bool:
        """Whether ``model``'s segments are edited anywhere."""
        return model in self._marks.edited

    def keep(self, model: str) -> None:
        """Tick the slices in which ``model``'s segments were edited: its record is about to go."""
        writeMarks(self._node, self._grid, self._marks.withoutRecord(model))

    def across(self, slab: Extent) -> np.ndarray | bool:
        """Return which voxels of ``slab`` no protected slice along another axis has.

        True for all of them.
        """
        marks, free = self._marks, True
        for axis in {0, 1, 2} - {self._axis}:
            first, last = slab[2 * (2 - axis)], slab[2 * (2 - axis) + 1]
            slices = [n - first for n in marks.along(axis, last + 1) if n >= first]
            if slices:
                line = np.ones(last - first + 1, bool)
                line[slices] = False
                free = free & line.reshape([-1 if one == axis else 1 for one in range(3)])
        return free

    def check(self, slices: Iterable[int], record: ModelRecord | None) -> None:
        """Raise OutputError if nothing may be written to any of ``slices``.

        ``record`` is that of the model that is to write, None if it never did. After a ``refresh``
        that is sure; without one, it is not raised in doubt, and nothing takes longer than some
        slices do.
        """
        self._checkGrid()
        slices = list(slices)
        if self._areReviewed(slices, record):
            one = len(slices) == 1
            what = f"Slice {slices[0]}" if one else f"Each of {len(slices)} slices"
            raise OutputError(
                f"{what} of {self._node.GetName()} was reviewed, and a run changes nothing "
                "that was reviewed.",
                "Untick Reviewed in the slices that are to be segmented again, or let a new "
                "segmentation be created.",
            )

    def isFree(self, index: int, record: ModelRecord) -> bool:
        """Whether slice ``index`` may be written by ``record``'s model at this very moment."""
        if index in self.protected:
            return False
        now = record.read(self._node.GetSegmentation(), self._grid)
        return now is not None and self._isAsLeft(record, now, index)

    def _checkGrid(self) -> None:
        if readMarks(self._node, self._grid) is None:
            raise OutputError(
                f"{self._node.GetName()} has reviewed slices on another voxel grid than that of "
                f"{self._grid.volumeName}.",
                "Choose another segmentation, or let a new one be created.",
            )

    def _areReviewed(self, slices: list[int], record: ModelRecord | None) -> bool:
        if self.isCurrent:
            return set(slices) <= self.protected
        segmentation, ticked = self._node.GetSegmentation(), self.ticked
        others = [index for index in slices if index not in ticked]
        if not others:
            return True
        # A run or an edit may have been undone since: that is found out by and by.
        if record is None or len(others) > _COMPARED_AT_ONCE or record.isRestored(segmentation):
            return False
        now = record.read(segmentation, self._grid)
        return now is not None and not any(self._isAsLeft(record, now, one) for one in others)

    @property
    def _marks(self) -> SliceMarks:
        return readMarks(self._node, self._grid) or SliceMarks()

    @property
    def _count(self) -> int:
        return self._grid.shape[self._axis]

    def _slab(self, axis: int, index: int) -> Extent:
        return self._grid.slab(axis, index, index)

    def _isAsLeft(self, record: ModelRecord, now: SegmentLabels, index: int) -> bool:
        """Whether slice ``index`` holds what a run left there, or what the user released."""
        return record.isUnedited(
            now, self._grid, self._slab(self._axis, index)
        ) or self._isReleased(record, now, self._axis, index)

    def _labels(self, record: ModelRecord, axis: int, index: int) -> np.ndarray | None:
        now = record.read(self._node.GetSegmentation(), self._grid)
        return None if now is None else now.read(self._slab(axis, index))

    def _isReleased(self, record: ModelRecord, now: SegmentLabels, axis: int, index: int) -> bool:
        """Whether slice ``index`` holds what it held when the user released it."""
        released = self._marks.released.get(record.model, {}).get((axis, index))
        return released is not None and released == record.digest(
            now, self._grid, self._slab(axis, index)
        )

    def _unrecorded(self) -> dict[str, dict[str, int]]:
        """Return the models that have segments but no record, with numbers for their tags."""
        segmentation, grid = self._node.GetSegmentation(), self._grid
        if self._node.GetScene() is None or browserOf(self._node) is not None:
            return {}  # removed, or with other voxels for every frame of a sequence
        return {
            model: labels
            for model, labels in modelsIn(segmentation).items()
            if recordOf(self._node, model) is None
            and segmentLabels(segmentation, model, labels, grid, np.dtype(np.uint8)) is not None
        }

    def _recordOthers(self) -> Generator[None, None, None]:
        """Record what is in segments of models that have no record, to know of edits from now."""
        for model, labels in self._unrecorded().items():
            try:
                yield from newRecord(self._node, model, labels, self._grid, self._axis)
            except Cancelled:  # the segmentation was removed
                return

    def _lookAt(self, record: ModelRecord) -> Generator[None, None, None]:
        """Find the slices in which the segments of ``record``'s model are edited, and note them."""
        grid, segmentation = self._grid, self._node.GetSegmentation()
        if record.array(grid) is None:
            record.lookedAt = record.state(segmentation, grid)
            return
        axis, history = record.axis(grid), record.history(grid)
        while (seen := self._seen(record))[0] != record.lookedAt:
            edited, move = set(), None
            now = record.read(segmentation, grid)
            if now is not None:
                edited = yield from self._editedIn(record, now, seen)
            if now is not None and edited and record.isRestored(segmentation):
                move = yield from history.moved(lambda index: self._labels(record, axis, index))
            if not isOwn(self._node, record):
                return
            if seen != self._seen(record):
                continue
            if move is not None:
                places = {
                    index: boxOf(record.array(grid), grid.extent, self._slab(axis, index))
                    for index in move.slices
                }
                # What is edited then is not looked for in another place of the history: two may
                # have most slices alike, and that would never end.
                record.markSeen(segmentation)
                yield from history.follow(move, places)
                record.announce()
                along = ReviewedSlices(self._node, grid, axis)
                for index in move.same:
                    # A run writes no edit that was not released.
                    if seen[0] == record.state(segmentation, grid):
                        along.settle(index, record)
                        yield
                continue
            record.lookedAt = seen[0]
            if now is not None:
                record.markSeen(segmentation)
                marks = self._marks.withEdited(record.model, {(axis, index) for index in edited})
                writeMarks(self._node, grid, marks)

    def _seen(self, record: ModelRecord) -> tuple:
        """Return what is another one whenever other slices may be edited: voxels or releases."""
        state = record.state(self._node.GetSegmentation(), self._grid)
        return state, self._marks.released.get(record.model)

    def _editedIn(
        self, record: ModelRecord, now: SegmentLabels, seen: tuple
    ) -> Generator[None, None, set[int]]:
        """Return the slices that are edited, or some of them if ``seen`` is another meanwhile."""
        grid, axis, edited = self._grid, record.axis(self._grid), set()
        for index in range(grid.shape[axis]):
            for box in now.blocks(self._slab(axis, index)):
                if seen != self._seen(record):
                    return edited
                differs = not record.isUnedited(now, grid, box)
                if differs and not self._isReleased(record, now, axis, index):
                    edited.add(index)
                yield
                if differs:
                    break
        return edited
