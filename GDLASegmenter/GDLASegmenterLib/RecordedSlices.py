"""The slices of a model's record, and in which of them the user was since."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping

import numpy as np

from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.LabelLayer import boxOf
from GDLASegmenterLib.ModelRecord import ModelRecord, isOwn
from GDLASegmenterLib.RecordGrid import wholeGrid
from GDLASegmenterLib.RunHistory import RunHistory
from GDLASegmenterLib.SegmentLabels import SegmentLabels
from GDLASegmenterLib.SliceMarks import SliceMarks, readMarks, writeMarks
from GDLASegmenterLib.SliceOrigins import SliceOrigin, noteOrigins, readOrigins
from GDLASegmenterLib.VolumeGrid import VolumeGrid


class RecordedSlices:
    """All slices that ``record`` of ``segmentationNode`` has, those beyond ``known`` included.

    ``known`` is a grid of which everything is recorded, and ``grid`` that of all that is, ``axis``
    its array axis across the slices: edits beyond ``known`` count, too. Indices are those on
    ``grid``, but for the one that ``index`` is asked about. To be asked for anew after each
    ``yield``, during which the record may have grown.
    """

    def __init__(self, segmentationNode, record: ModelRecord, known: VolumeGrid) -> None:
        self._node = segmentationNode
        self._record = record
        self._known = known
        self._locate()

    def _locate(self) -> None:
        self.grid = wholeGrid(self._record.node, self._known)
        self.axis = self._record.axis(self.grid)

    @property
    def isCurrent(self) -> bool:
        """Whether nothing was changed since the last ``refresh``."""
        return self._record.lookedAt == self._state()

    @property
    def history(self) -> RunHistory:
        """What the last runs changed in the slices."""
        return self._record.history

    def index(self, index: int) -> int:
        """Return which slice has slice ``index`` of ``known``."""
        return self._record.index(self._known, index)

    def held(self, index: int) -> np.ndarray | None:
        """Return the labels that are in slice ``index`` now; None if they are on another grid."""
        now = self._read()
        return None if now is None else now.read(self._slab(index))

    def left(self, index: int) -> np.ndarray:
        """Return the labels that a run left in slice ``index``, as a view of the record."""
        return boxOf(self._record.array(self.grid), self.grid.extent, self._slab(index))

    @property
    def origins(self) -> dict[int, SliceOrigin]:
        """Where what a run left in each slice is from, as far as somebody knows."""
        known = readOrigins(self._node, self.grid, self._record.model)
        return {index: origin for (axis, index), origin in known.items() if axis == self.axis}

    def noteOrigins(self, origins: Mapping[int, SliceOrigin | None]) -> None:
        """Note where slices are from now; None takes back what was noted."""
        places = {(self.axis, index): origin for index, origin in origins.items()}
        noteOrigins(self._node, self.grid, self._record.model, places)

    def isAsLeft(self, index: int) -> bool:
        """Whether slice ``index`` holds what a run left there, or what the user released."""
        now = self._read()
        return now is not None and (
            self._record.isUnedited(now, self.grid, self._slab(index))
            or self._isReleased(now, index)
        )

    def settle(self, index: int) -> None:
        """Note that what is in slice ``index`` now is for runs to change.

        Nothing is to be noted where it is what the record has.
        """
        now = self._read()
        if now is None:
            return
        marks, place = self._marks, (self.axis, index)
        released = dict(marks.released.get(self._record.model, {}))
        released.pop(place, None)
        if not self._record.isUnedited(now, self.grid, self._slab(index)):
            released[place] = _digest(now.read(self._slab(index)))
        writeMarks(self._node, self.grid, marks.withReleased(self._record.model, released))

    def refresh(self) -> Generator[None, None, None]:
        """Find the slices that are edited, and note them; each step takes some milliseconds."""
        record, segmentation = self._record, self._node.GetSegmentation()
        while (seen := self._seen())[0] != record.lookedAt:
            self._locate()
            edited, move, now, history = set(), None, self._read(), self.history
            if now is not None:
                edited = yield from self._editedIn(now, seen)
            if now is not None and edited and record.isRestored(segmentation):
                move = yield from history.moved(
                    lambda index, seen=seen: self.held(index) if seen == self._seen() else None
                )
            if not isOwn(self._node, record):
                return
            if seen != self._seen():
                continue
            if move is not None:
                places = {index: self.left(index) for index in move.slices}
                # What is edited then is not looked for in another place of the history: two may
                # have most slices alike, and that would never end.
                record.markSeen(segmentation)
                place = self._state()[:2]
                origins = yield from history.follow(move, places, self.origins)
                record.announce()
                if place == self._state()[:2]:
                    self.noteOrigins(origins)
                for index in move.same:
                    # A run writes no edit that was not released.
                    if seen[0] == self._state():
                        self.settle(index)
                        yield
                continue
            record.lookedAt = seen[0]
            if now is not None:
                record.markSeen(segmentation)
                found = {(self.axis, index) for index in edited}
                marks = self._marks.withEdited(record.model, found)
                writeMarks(self._node, self.grid, marks)

    @property
    def _marks(self) -> SliceMarks:
        return readMarks(self._node, self.grid) or SliceMarks()

    def _state(self) -> tuple:
        return self._record.state(self._node.GetSegmentation(), self.grid)

    def _seen(self) -> tuple:
        """Return what is another one whenever other slices may be edited: voxels or releases."""
        return self._state(), self._marks.released.get(self._record.model)

    def _read(self) -> SegmentLabels | None:
        return self._record.read(self._node.GetSegmentation(), self.grid)

    def _slab(self, index: int) -> Extent:
        return self.grid.slab(self.axis, index, index)

    def _isReleased(self, now: SegmentLabels, index: int) -> bool:
        """Whether slice ``index`` holds what it held when the user released it."""
        released = self._marks.released.get(self._record.model, {}).get((self.axis, index))
        return released is not None and released == _digest(now.read(self._slab(index)))

    def _editedIn(self, now: SegmentLabels, seen: tuple) -> Generator[None, None, set[int]]:
        """Return the slices that are edited, or some of them if ``seen`` is another meanwhile."""
        edited = set()
        for index in range(self.grid.shape[self.axis]):
            for box in now.blocks(self._slab(index)):
                if seen != self._seen():
                    return edited
                differs = not self._record.isUnedited(now, self.grid, box)
                if differs and not self._isReleased(now, index):
                    edited.add(index)
                yield
                if differs:
                    break
        return edited


def recordedSlices(
    segmentationNode, record: ModelRecord, grid: VolumeGrid
) -> RecordedSlices | None:
    """Return the slices of ``record``; None if it, or what is noted, lacks voxels of ``grid``."""
    whole = wholeGrid(record.node, grid)
    if whole is None or readMarks(segmentationNode, whole) is None:
        return None
    return RecordedSlices(segmentationNode, record, grid)


def _digest(labels: np.ndarray) -> str:
    return hashlib.blake2b(labels.tobytes(), digest_size=8).hexdigest()
