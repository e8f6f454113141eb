"""Where the labels of one run go: a new segmentation node, or the model's segments in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import slicer

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import intersection, isEmpty, union
from GDLASegmenterLib.LabelLayer import (
    LabelLayer,
    announce,
    layersOf,
    movedTo,
    newImageInSteps,
    onGrid,
    resized,
    scalarType,
    separated,
)
from GDLASegmenterLib.ModelSegments import addSegments, findSegments, tagVersion
from GDLASegmenterLib.Region import Region
from GDLASegmenterLib.VolumeGrid import VolumeGrid


class SegmentationOutput:
    """Writes finished slices into the segments of a model, and can take them back.

    Nothing exists, or is changed, before ``open``. Of a node that was there before, only segments
    that the same model made are written, and of those only the slices that are given to ``write``,
    and of these, if there is a ``region``, only what is inside.
    """

    def __init__(
        self, scene, grid: VolumeGrid, card: ModelCard, region: Region | None = None, node=None
    ) -> None:
        self.grid = grid
        self.card = card
        self.region = region
        self._scene = scene
        self._node = node
        self._nodeID = node.GetID() if node else None
        self._isNew = node is None
        self._isOpen = False
        self._addedIDs: set[str] = set()
        self._spare = None
        self._before: list[tuple[LabelLayer, dict[str, int]]] = []
        self._written: set[int] = set()
        self._axis = 0

    @property
    def node(self):
        """The segmentation node; None before ``open`` and after the node was removed."""
        return self._scene.GetNodeByID(self._nodeID) if self._nodeID else None

    @property
    def isNew(self) -> bool:
        """Whether the node is this run's own, so that nothing else can be in it."""
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
        return self._isOpen and not self._segmentIDs()

    def prepare(self, axis: int, slices: range) -> Iterator[None]:
        """Have the memory ready for ``slices`` along array axis ``axis``, in short steps.

        Not needed before ``open``, but then ``open`` takes longer.
        """
        extent = self._slab(axis, slices)
        if not self._isNew:
            for layer in self._layers()[:1]:
                extent = union(extent, layer.extent)
        largest = len(self.card.labels)
        self._spare = yield from newImageInSteps(self.grid.IJKToRAS, extent, largest)

    def open(self, axis: int, slices: range, saveStateForUndo: Callable[[object], None]) -> None:
        """Create the node and the segments, or make those of the node ready to be written.

        Room is made for all of ``slices`` along array axis ``axis`` at once. ``saveStateForUndo``
        is called with the node before it is changed, and not for a new one, which is undone by
        removing it.
        """
        if self._isNew:
            self._node = self._createNode()
            self._nodeID = self._node.GetID()
        else:
            saveStateForUndo(self._node)
        self._isOpen = True
        segmentation = self._node.GetSegmentation()
        slab = self._slab(axis, slices)
        if segmentation.GetNumberOfSegments() == 0:
            self._adoptGrid()
        layers = layersOf(segmentation, self._segmentIDs().values())
        for layer in layers:
            own = onGrid(segmentation, separated(segmentation, layer), self.grid.IJKToRAS)
            values = {one: segmentation.GetSegment(one).GetLabelValue() for one in own.segmentIDs}
            self._before.append((own, values))
            self._resize(own, union(own.extent, slab))  # a copy: the old one stays
        found = self._segmentIDs()
        missing = [label for label in self.card.labels if label.value not in found]
        if missing:
            layers = layersOf(segmentation, found.values())
            addSegments(
                segmentation, self.card, missing, layers[0] if layers else None, self.grid.IJKToRAS
            )
        self._addedIDs = set(self._segmentIDs().values()) - set(found.values())
        tagVersion(segmentation, self.card)
        self._cover(slab)

    def write(self, labels: np.ndarray, axis: int, indices: Sequence[int]) -> None:
        """Replace slices ``indices`` along array axis ``axis`` by those of ``labels`` [k, j, i]."""
        self._axis = axis
        self._written.update(indices)
        for first, last in _runs(indices):
            slab = self.grid.slab(axis, first, last)
            part = _part(labels, axis, first, last)
            inside = self._inside(slab)
            for layer in self._cover(slab):
                np.copyto(layer.box(slab), self._values(layer, part), "unsafe", inside)
        self._announce()

    def amend(self, labels: np.ndarray, cleaned: np.ndarray, axis: int, index: int) -> None:
        """Change slice ``index`` from what ``labels`` [k, j, i] says to what ``cleaned`` says.

        Voxels that no longer are as they were written, because the user has been there, stay.
        """
        slab = self.grid.slab(axis, index, index)
        before, after = (_part(array, axis, index, index) for array in (labels, cleaned))
        differs = (before != after) & self._inside(slab)
        if not differs.any():
            return
        for layer in self._cover(slab):
            place = layer.box(slab)
            ours = differs & (place == self._values(layer, before))
            place[ours] = self._values(layer, after)[ours]

    def discard(self) -> None:
        """Take everything back that was written: remove a new node, restore the slices of another.

        What the user changed meanwhile outside the slices written stays.
        """
        node = self.node
        if node is None or not self._isOpen:
            return
        if self._isNew:
            displayNode = node.GetDisplayNode()  # which the scene would keep
            self._scene.RemoveNode(node)
            self._scene.RemoveNode(displayNode)
            return
        for first, last in _runs(sorted(self._written)):
            self._restore(self.grid.slab(self._axis, first, last))
        for segmentID in self._addedIDs & set(self._segmentIDs().values()):
            node.GetSegmentation().RemoveSegment(segmentID)
        self._announce()

    def _createNode(self):
        name = self._scene.GenerateUniqueName(f"{self.grid.volumeName} {self.card.name}")
        node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        return node

    def _adoptGrid(self) -> None:
        """Give an empty segmentation the volume's transform, reference grid and folder."""
        volumeNode = self._scene.GetNodeByID(self.grid.volumeID)
        self._node.SetAndObserveTransformNodeID(self.grid.transformID)
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(
            self.grid.IJKToRAS, list(self.grid.extent)
        )
        self._node.GetSegmentation().SetConversionParameter(name, geometry)
        if volumeNode is None:
            return
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        self._node.SetNodeReferenceID(role, self.grid.volumeID)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        volumeItem = hierarchy.GetItemByDataNode(volumeNode)
        item = hierarchy.GetItemByDataNode(self._node)
        if volumeItem and item and self._isNew:
            hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))

    def _segmentIDs(self) -> dict[int, str]:
        return findSegments(self.node.GetSegmentation(), self.card)

    def _layers(self) -> list[LabelLayer]:
        return layersOf(self.node.GetSegmentation(), self._segmentIDs().values())

    def _cover(self, slab) -> list[LabelLayer]:
        """Return the model's layers, each at least as large as ``slab``.

        Asked anew each time: undoing, painting and removing segments replace layers meanwhile.
        """
        segmentation = self.node.GetSegmentation()
        layers = []
        for layer in self._layers():
            layer = separated(segmentation, layer)
            whole = union(layer.extent, slab)
            layers.append(layer if whole == layer.extent else self._resize(layer, whole))
        return layers

    def _slab(self, axis: int, slices: range):
        return self.grid.slab(axis, min(slices[0], slices[-1]), max(slices[0], slices[-1]))

    def _resize(self, layer: LabelLayer, extent) -> LabelLayer:
        segmentation = self.node.GetSegmentation()
        spare, self._spare = self._spare, None
        largest = max(segmentation.GetSegment(one).GetLabelValue() for one in layer.segmentIDs)
        if (
            spare is None
            or spare.GetExtent() != extent
            or spare.GetScalarType() != scalarType(largest)
        ):
            return resized(segmentation, layer, extent)
        return movedTo(segmentation, layer, spare)

    def _values(self, layer: LabelLayer, labels: np.ndarray) -> np.ndarray:
        """Return ``labels`` of the card as values of ``layer``, 0 where a segment is not in it."""
        segmentation = self.node.GetSegmentation()
        values = {
            label: segmentation.GetSegment(segmentID).GetLabelValue()
            for label, segmentID in self._segmentIDs().items()
            if segmentID in layer.segmentIDs
        }
        if values == {label.value: label.value for label in self.card.labels}:
            return labels  # a copy is ten times as fast as looking values up
        table = np.zeros(len(self.card.labels) + 1, layer.array().dtype)
        table[list(values)] = list(values.values())
        return table[labels]

    def _restore(self, slab) -> None:
        segmentation = self.node.GetSegmentation()
        for layer in self._cover(slab):
            inside = self._inside(slab)
            np.copyto(layer.box(slab), 0, "unsafe", inside)
            for old, values in self._before:
                common = intersection(old.extent, slab)
                if isEmpty(common):
                    continue
                content, place = old.box(common), layer.box(common)
                for segmentID, value in values.items():
                    if segmentID in layer.segmentIDs:
                        now = segmentation.GetSegment(segmentID).GetLabelValue()
                        place[(content == value) & self._inside(common)] = now

    def _inside(self, slab) -> np.ndarray | bool:
        """Return which voxels of ``slab`` may be written; True for all of them."""
        return True if self.region is None else self.region.mask(slab)

    def _announce(self) -> None:
        for layer in self._layers():
            announce(self.node.GetSegmentation(), layer)


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of every run of consecutive numbers in the sorted ``indices``."""
    start = previous = None
    for index in indices:
        if previous is None or index != previous + 1:
            if previous is not None:
                yield start, previous
            start = index
        previous = index
    if previous is not None:
        yield start, previous


def _part(array: np.ndarray, axis: int, first: int, last: int) -> np.ndarray:
    """Return the slices from ``first`` to ``last`` along ``axis`` of ``array`` [k, j, i]."""
    return array[(slice(None),) * axis + (slice(first, last + 1),)]
