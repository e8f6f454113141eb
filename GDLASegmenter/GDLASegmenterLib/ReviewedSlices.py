"""The slices of a segmentation that the user edited or ticked, which nothing of ours changes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from GDLACore.errors import Cancelled, OutputError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.ModelRecord import (
    ModelRecord,
    isOwn,
    newRecord,
    ownRecord,
    recordOf,
    recordsOf,
    removeRecord,
)
from GDLASegmenterLib.ModelSegments import labelTags, modelsIn, versionIn
from GDLASegmenterLib.RecordedSlices import recordedSlices
from GDLASegmenterLib.RecordGrid import canGrow, checkDistance, continues
from GDLASegmenterLib.SegmentLabels import segmentLabels
from GDLASegmenterLib.SliceMarks import SliceMarks, onAxis, readMarks, writeMarks
from GDLASegmenterLib.SliceOrigins import SliceOrigin
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
        slices = recordedSlices(self._node, record, self._grid)
        if slices is not None and record.axis(self._grid) == self._axis:
            slices.settle(record.index(self._grid, index))

    def refresh(self) -> Generator[None, None, None]:
        """Find out which slices are edited; each step takes some milliseconds.

        Also outside of the grid, wherever something is recorded; of what is new on the grid it is
        recorded that no model left anything there. Nothing is done if nothing was changed since the
        last time. Undoing a whole run, or doing it
        again, is no edit; undoing an edit leaves none. What is found in segments for the first time
        counts as the model's: so it is after loading a file of segments alone. Nothing is done if
        what is noted cannot be found on the grid, and would be lost.
        """
        if readMarks(self._node, self._grid) is None:
            return
        for known in recordsOf(self._node):
            # What is undone in a copy of the segmentation is not undone in this one.
            record = yield from ownRecord(self._node, known)
            if record is None:
                continue
            yield from record.grow(self._grid)
            slices = recordedSlices(self._node, record, self._grid)
            if slices is not None:
                yield from slices.refresh()
            elif self._isLeftBehind(record):
                self._drop(record)
        marks = self._marks
        records = {record.model for record in recordsOf(self._node)}
        for model in {*marks.edited, *marks.released} - records:
            marks = marks.withoutRecord(model)
        writeMarks(self._node, self._grid, marks)
        yield from self.recordOthers()

    def recordOthers(self) -> Generator[None, None, None]:
        """Record what is in segments of models that have no record, to know of edits from now."""
        for model, labels in self._unrecorded().items():
            try:
                record = yield from newRecord(self._node, model, labels, self._grid, self._axis)
            except Cancelled:  # the segmentation was removed
                return
            self._noteVersion(record)

    @property
    def isCurrent(self) -> bool:
        """Whether nothing was changed since the last ``refresh``."""
        records = recordsOf(self._node)
        return readMarks(self._node, self._grid) is None or (
            set(self._marks.edited) <= {record.model for record in records}
            and all(map(self._isLookedAt, records))
            and all(isOwn(self._node, one) for one in records)
            and not self._unrecorded()
        )

    def isEdited(self, model: str) -> bool:
        """Whether ``model``'s segments are edited anywhere."""
        return model in self._marks.edited

    def keep(self, model: str) -> None:
        """Tick the slices in which ``model``'s segments were edited: its record is about to go."""
        writeMarks(self._node, self._grid, self._marks.withoutRecord(model))

    def recordFor(self, card: ModelCard) -> Generator[None, None, tuple[ModelRecord, bool]]:
        """Return a record in which runs of ``card``'s model can be noted, and whether it is new.

        In a new one, all that is in the model's segments now counts as the model's.
        """
        yield from self.refresh()
        record = recordOf(self._node, card.name)
        if record is not None and record.fits(card, self._grid, self._axis):
            yield from record.adopt(card, self._grid)
            return record, False
        if record is not None:
            checkDistance(self._node, record.node, self._grid)
            self._drop(record)
        labels = labelTags(card)
        record = yield from newRecord(self._node, card.name, labels, self._grid, self._axis)
        self._noteVersion(record)
        return record, True

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
        """Raise OutputError if nothing may be written to any of ``slices``, or recorded there.

        ``record`` is that of the model that is to write, None if it never did. After a ``refresh``
        that is sure; without one, it is not raised in doubt, and nothing takes longer than some
        slices do.
        """
        self._checkGrid()
        if record is not None:
            checkDistance(self._node, record.node, self._grid)
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
        return index not in self.protected and self._isAsLeft(record, index)

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
        ticked = self.ticked
        others = [index for index in slices if index not in ticked]
        if not others:
            return True
        # A run or an edit may have been undone since: that is found out by and by.
        if record is None or len(others) > _COMPARED_AT_ONCE:
            return False
        segmentation = self._node.GetSegmentation()
        if record.read(segmentation, self._grid) is None or record.isRestored(segmentation):
            return False
        return not any(self._isAsLeft(record, one) for one in others)

    @property
    def _marks(self) -> SliceMarks:
        return readMarks(self._node, self._grid) or SliceMarks()

    @property
    def _count(self) -> int:
        return self._grid.shape[self._axis]

    def _isAsLeft(self, record: ModelRecord, index: int) -> bool:
        """Whether slice ``index`` holds what a run left there, or what the user released."""
        slices = recordedSlices(self._node, record, self._grid)
        return slices is not None and slices.isAsLeft(record.index(self._grid, index))

    def _noteVersion(self, record: ModelRecord) -> None:
        """Note of what a new ``record`` found that it is of the version that the segments tell.

        Without any, it is noted that no run wrote a slice yet.
        """
        version = versionIn(self._node.GetSegmentation(), record.model, record.labels)
        slices = recordedSlices(self._node, record, self._grid)
        if slices is not None:
            found = range(slices.grid.shape[slices.axis]) if version else ()
            origin = SliceOrigin(frozenset([version]), isPropagated=False)
            slices.noteOrigins(dict.fromkeys(found, origin) | slices.origins)

    def _isLookedAt(self, record: ModelRecord) -> bool:
        slices = recordedSlices(self._node, record, self._grid)
        if slices is not None:
            return slices.isCurrent
        return not canGrow(record.node, self._grid) and not self._isLeftBehind(record)

    def _isLeftBehind(self, record: ModelRecord) -> bool:
        """Whether the segments are on the grid, and ``record`` where it has no voxels.

        So it is after hardening a transform on them and a crop of what is recorded.
        """
        grid, kind = self._grid, np.dtype(np.uint8)
        if record.array(grid) is not None or continues(record.node, grid):
            return False
        segmentation = self._node.GetSegmentation()
        now = segmentLabels(segmentation, record.model, record.labels, grid, kind)
        return now is not None and bool(now.extents)

    def _drop(self, record: ModelRecord) -> None:
        """Remove ``record``, of no use on the grid; what was edited by it stays protected."""
        self.keep(record.model)
        removeRecord(self._node, record)

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
