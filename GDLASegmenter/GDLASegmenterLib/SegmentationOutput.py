"""Where the labels of one run go: a new segmentation node, or the model's segments in another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np

from GDLACore.model.card import Label, ModelCard
from GDLASegmenterLib.Extent import EMPTY, Extent
from GDLASegmenterLib.FinishingTouches import removeEmptySteps
from GDLASegmenterLib.LabelLayer import LabelLayer, announce, boxOf
from GDLASegmenterLib.LayerCopies import LayerCopies, copiesInSteps, restore
from GDLASegmenterLib.ModelLayers import layersInSteps, modelLayers, valuesInLayer
from GDLASegmenterLib.ModelRecord import (
    ModelRecord,
    recordOf,
    removeRecord,
)
from GDLASegmenterLib.ModelSegments import addSegments, findSegments, tagVersion
from GDLASegmenterLib.NodeRemoval import removeWithItsNodes, weakReference
from GDLASegmenterLib.RecordedSlices import RecordedSlices
from GDLASegmenterLib.Region import Region
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.RunNotes import RunNotes
from GDLASegmenterLib.SliceOrigins import SliceOrigin
from GDLASegmenterLib.VolumeGrid import VolumeGrid, adoptGrid

Steps = Generator[None, None, None]


class SegmentationOutput:
    """Writes finished slices into the segments of a model, and can take them back.

    Nothing exists, or is changed, before ``open``. Of a node that was there before, only segments
    that the same model made are written, and of those only the slices that are given to ``write``,
    and of these, if there is a ``region``, only what is inside. Slices that the user ticked, or
    edited until that very moment, are never changed (see ``ReviewedSlices``). What takes its time
    is done in steps of some milliseconds, between which the user may change anything.

    ``isPropagated``: the labels are made with the user's corrections of other slices, as is noted.
    ``written`` are the slices that were written, ``left`` those that were left as they were.
    """

    def __init__(
        self,
        scene,
        grid: VolumeGrid,
        card: ModelCard,
        region: Region | None = None,
        node=None,
        isPropagated: bool = False,
    ) -> None:
        self.grid = grid
        self.card = card
        self.region = region
        self.isPropagated = isPropagated
        self._scene = scene
        self._known = None if node is None else weakReference(node)
        self._isNew = node is None
        self._isOpen = False
        self._room: Extent = EMPTY
        self._addedIDs: set[str] = set()
        self._before: LayerCopies = []
        self.written: set[int] = set()
        self.left: set[int] = set()
        self._axis = 0
        self._reviewed: ReviewedSlices | None = None
        self._record: ModelRecord | None = None
        self._isRecordNew = False
        self._notes = RunNotes(SliceOrigin(frozenset([card.version]), isPropagated))

    @property
    def node(self):
        """The segmentation node; None before ``open``, and once it is removed or its scene closed.

        Not to be looked up by its ID, which another node may have in the next scene.
        """
        node = self._known and self._known.Get()
        isThere = node is not None and node.GetScene() is self._scene
        return node if isThere and not self._scene.IsClosing() else None

    @property
    def isNew(self) -> bool:
        """Whether the node was made by this run."""
        return self._isNew

    @property
    def isOpen(self) -> bool:
        """Whether ``open`` was called: before it there is nothing to write to or to discard."""
        return self._isOpen

    @property
    def isGone(self) -> bool:
        """Whether the node was removed or, after ``open``, every segment of the model in it."""
        if self.node is None:
            return self._known is not None
        return self._isOpen and not findSegments(self._segmentation, self.card)

    def check(self, axis: int, slices: Sequence[int]) -> None:
        """Raise OutputError if none of ``slices`` may be written, because all were reviewed."""
        if self.node is not None:
            reviewed = ReviewedSlices(self.node, self.grid, axis)
            reviewed.check(slices, recordOf(self.node, self.card.name))

    def open(self, axis: int, slices: range, saveStateForUndo: Callable[[object], None]) -> Steps:
        """Create the node and the segments, or make those of the node ready to be written.

        Room is made for all of ``slices`` along array axis ``axis`` at once. ``saveStateForUndo``
        is called with the node before it is changed, and not for a new one, which is undone by
        removing it. Raises OutputError as ``check`` does.
        """
        self._axis = axis
        self._room = self.grid.slab(axis, min(slices[0], slices[-1]), max(slices[0], slices[-1]))
        if self._isNew:
            name = self._scene.GenerateUniqueName(f"{self.grid.volumeName} {self.card.name}")
            node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
            node.CreateDefaultDisplayNodes()
            self._known = weakReference(node)
        else:
            yield from ReviewedSlices(self.node, self.grid, axis).refresh()
            self.check(axis, slices)
            saveStateForUndo(self.node)
        self._reviewed = ReviewedSlices(self.node, self.grid, axis)
        segmentation = self._segmentation
        if segmentation.GetNumberOfSegments() == 0:
            adoptGrid(self.node, self.grid, self._isNew)
        yield from self._openRecord()
        self._before = yield from copiesInSteps(segmentation, self.card, self.grid)
        missing = yield from self._forgetMissing()
        found = findSegments(segmentation, self.card)
        if missing:
            layers = modelLayers(segmentation, self.card)
            layer = layers[0] if layers else None
            addSegments(segmentation, self.card, missing, layer, self.grid.IJKToRAS)
        self._addedIDs = set(findSegments(segmentation, self.card).values()) - set(found.values())
        tagVersion(segmentation, self.card)
        self._isOpen = True
        yield from self._ready()

    def write(self, labels: np.ndarray, axis: int, indices: Sequence[int]) -> Steps:
        """Replace slices ``indices`` along array axis ``axis`` by those of ``labels`` [k, j, i]."""
        for index in indices:
            layers = yield from self._ready()
            if not self._reviewed.isFree(index, self._record):
                self.left.add(index)
                continue
            part = _part(labels, axis, index)
            inside = self.inside(self.grid.slab(axis, index, index))
            self._put(layers, index, part, inside)
            self._notes.written(self._recorded, index, part.size if inside is True else 0)
            self.written.add(index)
            yield
        self._announce()

    def amend(self, labels: np.ndarray, cleaned: np.ndarray) -> Steps:
        """Change the slices written from what ``labels`` [k, j, i] says to what ``cleaned`` says.

        Slices in which the user has been since stay.
        """
        for index in sorted(self.written):
            before, after = (_part(one, self._axis, index) for one in (labels, cleaned))
            if np.array_equal(before, after):
                continue
            layers = yield from self._ready()
            slab = self.grid.slab(self._axis, index, index)
            inside = (before != after) & self.inside(slab)
            if inside.any() and self._untouched(index, labels) is not None:
                self._put(layers, index, after, inside)
            yield
        self._announce()

    def discard(self, labels: np.ndarray) -> Steps:
        """Take back what was written of ``labels`` [k, j, i]: as if the run had not been.

        Slices in which the user has been since stay as they are, and with them the segments and the
        node; and so does a new node with segments of the user's.
        """
        if self.node is None or not self._isOpen:
            return
        segmentation = self._segmentation
        for index in sorted(self.written):
            layers = yield from self._ready()
            slab = self.grid.slab(self._axis, index, index)
            if self._untouched(index, labels) is None:
                self.left.add(index)
                continue
            for layer in layers:
                restore(segmentation, layer, slab, self._before, self.inside(slab))
            self._notes.takeBack(self._recorded, index)
            self.written.remove(index)
            yield
        yield from self._ready()
        if not self.written and not self._reviewed.isEdited(self.card.name):
            added = self._addedIDs & set(findSegments(segmentation, self.card).values())
            yield from removeEmptySteps(segmentation, added)
        self._announce()
        if self._isRecordNew and not findSegments(segmentation, self.card):
            removeRecord(self.node, self._record)
        if self._isNew and segmentation.GetNumberOfSegments() == 0:
            removeWithItsNodes(self.node)

    def close(self) -> None:
        """Let go of what it was before: nothing can be discarded any more."""
        self._before = []
        if self.node is not None and self._record is not None:
            if self._scene.IsNodePresent(self._record.node):
                self._record.announce()
        self._reviewed = self._record = None

    def inside(self, slab: Extent) -> np.ndarray | bool:
        """Return which voxels of ``slab`` may be written; True for all of them."""
        free = self._reviewed.across(slab)
        return free if self.region is None else free & self.region.mask(slab)

    def _put(
        self, layers: list[LabelLayer], index: int, labels: np.ndarray, inside: np.ndarray | bool
    ) -> None:
        """Write ``labels`` to slice ``index``, where ``inside`` says so, and record them."""
        slab = self.grid.slab(self._axis, index, index)
        place = boxOf(self._record.array(self.grid), self.grid.extent, slab)
        isReleased = self._notes.change(self._recorded, index, np.array_equal(place, labels))
        for layer in layers:
            np.copyto(layer.box(slab), self._values(layer, labels), "unsafe", inside)
        np.copyto(place, labels, "unsafe", inside)
        if isReleased:
            self._reviewed.settle(index, self._record)

    @property
    def _recorded(self) -> RecordedSlices:
        return RecordedSlices(self.node, self._record, self.grid)

    @property
    def _segmentation(self):
        return self.node.GetSegmentation()

    def _layers(self) -> Generator[None, None, list[LabelLayer]]:
        return layersInSteps(self._segmentation, self.card, self.grid, self._room)

    def _ready(self) -> Generator[None, None, list[LabelLayer]]:
        """Return the layers, ready to be written at once: all edits until now are known."""
        while True:
            layers = yield from self._layers()
            known = recordOf(self.node, self.card.name)
            if known is None or known.node is not self._record.node:
                yield from self._openRecord()  # it was removed, or left to a copy of the node
            elif self._reviewed.isCurrent:
                return layers
            else:
                yield from self._reviewed.refresh()

    def _openRecord(self) -> Steps:
        """Have a record of the model's own, in which is noted what is in its segments now."""
        self._record, isNew = yield from self._reviewed.recordFor(self.card)
        self._isRecordNew |= isNew

    def _forgetMissing(self) -> Generator[None, None, list[Label]]:
        """Return the structures without a segment, of which nothing is on record any more.

        To be called before they get segments, which would otherwise seem to have been erased.
        """
        forgotten = set()
        while True:
            found = findSegments(self._segmentation, self.card)
            missing = {label.value for label in self.card.labels} - set(found)
            if missing <= forgotten or self._isRecordNew:
                return [label for label in self.card.labels if label.value in missing]
            yield from self._record.forget(missing - forgotten)
            forgotten |= missing

    def _untouched(self, index: int, labels: np.ndarray) -> np.ndarray | None:
        """Return what is recorded of slice ``index`` if it is as this run wrote it, else None.

        It is not if it was reviewed since, or if the run was undone.
        """
        if not self._reviewed.isFree(index, self._record):
            return None
        slab = self.grid.slab(self._axis, index, index)
        place = boxOf(self._record.array(self.grid), self.grid.extent, slab)
        differs = (place != _part(labels, self._axis, index)) & self.inside(slab)
        return None if differs.any() else place

    def _values(self, layer: LabelLayer, labels: np.ndarray) -> np.ndarray:
        return valuesInLayer(self._segmentation, self.card, layer, labels)

    def _announce(self) -> None:
        segmentation = self._segmentation
        wasCurrent = self._reviewed.isCurrent
        for layer in modelLayers(segmentation, self.card):
            announce(segmentation, layer)
        if wasCurrent:  # so it is still: what was written is recorded
            self._record.lookedAt = self._record.state(segmentation, self.grid)
            self._record.markSeen(segmentation)


def _part(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Return slice ``index`` along ``axis`` of ``array`` [k, j, i], with that axis."""
    return array[(slice(None),) * axis + (slice(index, index + 1),)]
