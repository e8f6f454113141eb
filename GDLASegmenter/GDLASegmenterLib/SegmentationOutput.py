"""Where the labels of one run go: a new segmentation node, or the model's segments in another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import EMPTY, Extent, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import LabelLayer, announce, boxOf, newImageInSteps
from GDLASegmenterLib.ModelLayers import (
    largestValue,
    layersInSteps,
    modelLayers,
    valuesInLayer,
)
from GDLASegmenterLib.ModelSegments import addSegments, findSegments, tagVersion
from GDLASegmenterLib.Region import Region
from GDLASegmenterLib.VolumeGrid import VolumeGrid, adoptGrid

Steps = Generator[None, None, None]

# Slices that are taken back in one step.
_RESTORED_AT_ONCE = 8


class SegmentationOutput:
    """Writes finished slices into the segments of a model, and can take them back.

    Nothing exists, or is changed, before ``open``. Of a node that was there before, only segments
    that the same model made are written, and of those only the slices that are given to ``write``,
    and of these, if there is a ``region``, only what is inside. What takes its time is done in
    steps of some milliseconds, between which the user may change anything.
    """

    def __init__(
        self, scene, grid: VolumeGrid, card: ModelCard, region: Region | None = None, node=None
    ) -> None:
        self.grid = grid
        self.card = card
        self.region = region
        self._scene = scene
        self._nodeID = node.GetID() if node else None
        self._isNew = node is None
        self._isOpen = False
        self._room: Extent = EMPTY
        self._addedIDs: set[str] = set()
        self._before: list[tuple[LabelLayer, dict[str, int]]] = []
        self._written: set[int] = set()
        self._axis = 0

    @property
    def node(self):
        """The segmentation node; None before ``open`` and after the node was removed."""
        return self._scene.GetNodeByID(self._nodeID) if self._nodeID else None

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
            return self._nodeID is not None
        return self._isOpen and not findSegments(self._segmentation, self.card)

    def open(self, axis: int, slices: range, saveStateForUndo: Callable[[object], None]) -> Steps:
        """Create the node and the segments, or make those of the node ready to be written.

        Room is made for all of ``slices`` along array axis ``axis`` at once. ``saveStateForUndo``
        is called with the node before it is changed, and not for a new one, which is undone by
        removing it.
        """
        self._axis = axis
        self._room = self.grid.slab(axis, min(slices[0], slices[-1]), max(slices[0], slices[-1]))
        if self._isNew:
            name = self._scene.GenerateUniqueName(f"{self.grid.volumeName} {self.card.name}")
            node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
            node.CreateDefaultDisplayNodes()
            self._nodeID = node.GetID()
        else:
            saveStateForUndo(self.node)
        segmentation = self._segmentation
        if segmentation.GetNumberOfSegments() == 0:
            adoptGrid(self.node, self.grid, self._isNew)
        yield from self._remember()
        found = findSegments(segmentation, self.card)
        missing = [label for label in self.card.labels if label.value not in found]
        if missing:
            layers = modelLayers(segmentation, self.card)
            layer = layers[0] if layers else None
            addSegments(segmentation, self.card, missing, layer, self.grid.IJKToRAS)
        self._addedIDs = set(findSegments(segmentation, self.card).values()) - set(found.values())
        tagVersion(segmentation, self.card)
        self._isOpen = True
        yield from self._layers()

    def write(self, labels: np.ndarray, axis: int, indices: Sequence[int]) -> Steps:
        """Replace slices ``indices`` along array axis ``axis`` by those of ``labels`` [k, j, i]."""
        layers = yield from self._layers()
        self._written.update(indices)
        for first, last in _runs(indices):
            slab = self.grid.slab(axis, first, last)
            part = _part(labels, axis, first, last)
            inside = self._inside(slab)
            for layer in layers:
                np.copyto(layer.box(slab), self._values(layer, part), "unsafe", inside)
        self._announce()

    def amend(self, labels: np.ndarray, cleaned: np.ndarray) -> Steps:
        """Change the slices written from what ``labels`` [k, j, i] says to what ``cleaned`` says.

        Voxels that no longer are as they were written, because the user has been there, stay.
        """
        for index in sorted(self._written):
            layers = yield from self._layers()
            slab = self.grid.slab(self._axis, index, index)
            before, after = (_part(one, self._axis, index, index) for one in (labels, cleaned))
            differs = (before != after) & self._inside(slab)
            for layer in layers if differs.any() else ():
                place = layer.box(slab)
                ours = differs & (place == self._values(layer, before))
                place[ours] = self._values(layer, after)[ours]
            yield
        self._announce()

    def discard(self, labels: np.ndarray) -> Steps:
        """Take back what was written of ``labels`` [k, j, i]: as if the run had not been.

        Voxels that the user has changed meanwhile stay, and so does a new node with segments of the
        user's.
        """
        if self.node is None or not self._isOpen:
            return
        segmentation = self._segmentation
        for first, last in _runs(sorted(self._written), _RESTORED_AT_ONCE):
            layers = yield from self._layers()
            slab = self.grid.slab(self._axis, first, last)
            for layer in layers:
                self._restore(layer, slab, _part(labels, self._axis, first, last))
            yield
        for segmentID in self._addedIDs & set(findSegments(segmentation, self.card).values()):
            segmentation.RemoveSegment(segmentID)
        self._announce()
        if self._isNew and segmentation.GetNumberOfSegments() == 0:
            removeWithItsNodes(self.node)

    def close(self) -> None:
        """Let go of what it was before: nothing can be discarded any more."""
        self._before.clear()

    @property
    def _segmentation(self):
        return self.node.GetSegmentation()

    def _layers(self) -> Generator[None, None, list[LabelLayer]]:
        return layersInSteps(self._segmentation, self.card, self.grid, self._room)

    def _remember(self) -> Steps:
        """Keep copies of the layers as they are, for ``discard``."""
        room, self._room = self._room, EMPTY
        while not (yield from self._copyLayers()):
            pass
        self._room = room

    def _copyLayers(self) -> Generator[None, None, bool]:
        """Return whether the copies are of one and the same moment: the user may be painting."""
        self._before.clear()
        segmentation = self._segmentation
        layers = yield from self._layers()
        states = [layer.state for layer in layers]
        for layer, state in zip(layers, states, strict=True):
            if not layer.isUntouched(segmentation, state):
                return False
            values = {one: segmentation.GetSegment(one).GetLabelValue() for one in layer.segmentIDs}
            image = yield from newImageInSteps(
                self.grid.IJKToRAS, layer.extent, largestValue(segmentation, layer)
            )
            if not layer.isUntouched(segmentation, state):
                return False
            copy = LabelLayer(image, layer.segmentIDs)
            if not isEmpty(layer.extent):
                copy.array()[:] = layer.array()
            self._before.append((copy, values))
        return all(
            layer.isUntouched(segmentation, state)
            for layer, state in zip(layers, states, strict=True)
        )

    def _restore(self, layer: LabelLayer, slab: Extent, written: np.ndarray) -> None:
        """Put what was before into the voxels of ``slab`` that still are as they were written."""
        place = layer.box(slab)
        ours = (place == self._values(layer, written)) & self._inside(slab)
        previous = np.zeros_like(place)
        for old, values in self._before:
            common = intersection(old.extent, slab)
            if isEmpty(common):
                continue
            content, there = old.box(common), boxOf(previous, slab, common)
            for segmentID, value in values.items():
                if segmentID in layer.segmentIDs:
                    segment = self._segmentation.GetSegment(segmentID)
                    there[content == value] = segment.GetLabelValue()
        np.copyto(place, previous, where=ours)

    def _values(self, layer: LabelLayer, labels: np.ndarray) -> np.ndarray:
        return valuesInLayer(self._segmentation, self.card, layer, labels)

    def _inside(self, slab: Extent) -> np.ndarray | bool:
        """Return which voxels of ``slab`` may be written; True for all of them."""
        return True if self.region is None else self.region.mask(slab)

    def _announce(self) -> None:
        for layer in modelLayers(self._segmentation, self.card):
            announce(self._segmentation, layer)


def removeWithItsNodes(node) -> None:
    """Remove a segmentation node from its scene, with display and storage, which would stay."""
    scene = node.GetScene()
    others = [node.GetDisplayNode(), node.GetStorageNode()]
    for one in [node, *filter(None, others)]:
        scene.RemoveNode(one)


def _runs(indices: Sequence[int], longest: int = 1 << 30) -> Iterator[tuple[int, int]]:
    """Yield first and last of every run of consecutive numbers in the sorted ``indices``.

    No run has more than ``longest``.
    """
    start = previous = None
    for index in indices:
        if previous is None or index != previous + 1 or index - start == longest:
            if previous is not None:
                yield start, previous
            start = index
        previous = index
    if previous is not None:
        yield start, previous


def _part(array: np.ndarray, axis: int, first: int, last: int) -> np.ndarray:
    """Return the slices from ``first`` to ``last`` along ``axis`` of ``array`` [k, j, i]."""
    return array[(slice(None),) * axis + (slice(first, last + 1),)]
