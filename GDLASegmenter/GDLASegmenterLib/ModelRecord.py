"""What a model left in its segments: a label map beside the segmentation, to tell edits by."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator

import numpy as np
import slicer.util
import vtk

from GDLACore.errors import Cancelled
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import Extent
from GDLASegmenterLib.LabelLayer import boxOf, isSeen, layersOf, markSeen, scalarType
from GDLASegmenterLib.ModelSegments import findTagged, labelTags
from GDLASegmenterLib.NotedGrid import REFERENCE, referenceOf
from GDLASegmenterLib.RecordGrid import (
    copyInSteps,
    gridAround,
    growInSteps,
    stepsTo,
    voxelsOf,
    voxelsOn,
    wholeGrid,
)
from GDLASegmenterLib.RunHistory import RunHistory
from GDLASegmenterLib.SegmentLabels import SegmentLabels, segmentLabels, stateOfSegments
from GDLASegmenterLib.VolumeGrid import VolumeGrid

Steps = Generator[None, None, None]

ROLE = "GDLA.ModelOutput"  # of the reference from a segmentation to its records

_MODEL, _LABELS, _AXIS = "GDLA.Model", "GDLA.Labels", "GDLA.Axis"
_COPIED = _MODEL, _LABELS, _AXIS, REFERENCE
_READ_AT_ONCE = 4  # slices


class ModelRecord:
    """The labels that runs of one model left in a segmentation, as a label map volume node.

    Whatever is otherwise in the model's segments was done by the user. The node is saved with the
    scene; what is only for Undo is kept with it in memory.
    """

    def __init__(self, node) -> None:
        self.node = node

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.node.GetAttribute(_MODEL)

    @property
    def labels(self) -> dict[str, int]:
        """The label values by the tags of the segments; see ``ModelSegments.labelTags``."""
        return json.loads(self.node.GetAttribute(_LABELS))

    def array(self, grid: VolumeGrid) -> np.ndarray | None:
        """Return the labels [k, j, i] on ``grid``, as a view of the node's memory.

        The grid may count from whatever corner, and be a part of what is recorded. None if it has
        voxels of which nothing is.
        """
        return voxelsOn(self.node, grid)

    def index(self, grid: VolumeGrid, index: int) -> int:
        """Return of which slice of all that is recorded slice ``index`` of ``grid`` is a part."""
        point = np.array([0.0, 0, 0, 1])
        point[2 - self.axis(grid)] = index
        there = np.linalg.inv(stepsTo(self.node, grid)) @ point
        return round(there[2 - int(self.node.GetAttribute(_AXIS))])

    def grow(self, grid: VolumeGrid) -> Steps:
        """Record that nothing was left in voxels of ``grid`` beyond those recorded, if it fits."""
        if (yield from growInSteps(self.node, grid, lambda: self.history.changes)):
            self.node.__dict__.pop("gdlaHistory", None)

    def axis(self, grid: VolumeGrid) -> int:
        """Return the array axis of ``grid`` across the slices that the model segmented."""
        sources = np.abs(np.round(stepsTo(self.node, grid)[:3, :3])).argmax(axis=0)
        return 2 - int(sources[2 - int(self.node.GetAttribute(_AXIS))])

    @property
    def history(self) -> RunHistory:
        """What the last runs changed, by slices of all voxels recorded."""
        # An attribute of Python's lives as long as the node, and is not saved with it.
        known = getattr(self.node, "gdlaHistory", None)
        if known is None:
            known = self.node.gdlaHistory = RunHistory()
        return known

    def read(self, segmentation, grid: VolumeGrid) -> SegmentLabels | None:
        """Return what is in the model's segments now; None if they are not on ``grid``."""
        array = self.array(grid)
        if array is None:
            return None
        return segmentLabels(segmentation, self.model, self.labels, grid, array.dtype)

    def isUnedited(self, now: SegmentLabels, grid: VolumeGrid, slab: Extent) -> bool:
        """Whether the segments hold in ``slab`` what is recorded; removed ones do not count."""
        recorded = boxOf(self.array(grid), grid.extent, slab)
        missing = set(self.labels.values()) - now.present
        if missing:
            table = np.arange(np.iinfo(recorded.dtype).max + 1, dtype=recorded.dtype)
            table[list(missing)] = 0
            recorded = table.take(recorded)
        return np.array_equal(recorded, now.read(slab))

    def state(self, segmentation, grid: VolumeGrid) -> tuple:
        """Return what is another one whenever a voxel of the segments may have changed.

        It is also another one for a ``grid`` elsewhere, on which they may not be.
        """
        place = wholeGrid(self.node, grid) or grid
        matrix = slicer.util.arrayFromVTKMatrix(place.IJKToRAS).tobytes()
        return matrix, place.shape, stateOfSegments(segmentation, self.model, self.labels)

    @property
    def lookedAt(self) -> tuple | None:
        """The ``state`` in which edits were last looked for."""
        return getattr(self.node, "gdlaLookedAt", None)

    @lookedAt.setter
    def lookedAt(self, state: tuple) -> None:
        self.node.gdlaLookedAt = state

    def isRestored(self, segmentation) -> bool:
        """Whether all images of the segments are others than when they were last looked at.

        So they are after undoing; strokes of a brush or an eraser go into the images there are.
        """
        images = self._images(segmentation)
        return bool(images) and not any(map(isSeen, images))

    def markSeen(self, segmentation) -> None:
        """Remember the images that the segments are in now; see ``isRestored``."""
        for image in self._images(segmentation):
            markSeen(image)

    def announce(self) -> None:
        """Tell views and storage that the labels were written in place."""
        self.node.GetImageData().GetPointData().GetScalars().Modified()
        self.node.GetImageData().Modified()

    def fits(self, card: ModelCard, grid: VolumeGrid, axis: int) -> bool:
        """Whether a run of ``card``'s model along ``axis`` of ``grid`` can be recorded here.

        Perhaps its labels have to be numbered anew; see ``adopt``.
        """
        labels, array = labelTags(card), self.array(grid)
        return (
            array is not None
            and self.axis(grid) == axis
            and set(self.labels) <= set(labels)
            and max(labels.values()) < np.iinfo(array.dtype).max
        )

    def adopt(self, card: ModelCard, grid: VolumeGrid) -> Steps:
        """Number the labels as ``card`` does, of which there may be more than before."""
        labels, array = labelTags(card), self.array(grid)
        if self.labels == labels:
            return
        table = np.arange(np.iinfo(array.dtype).max + 1, dtype=array.dtype)
        for tag, value in self.labels.items():
            table[value] = labels[tag]
        image = yield from copyInSteps(self.node.GetImageData(), table)
        self.node.SetAndObserveImageData(image)
        self.node.SetAttribute(_LABELS, json.dumps(labels))
        self.node.__dict__.pop("gdlaHistory", None)

    def forget(self, values: Collection[int]) -> Steps:
        """Leave out labels whose segments were removed; they are about to come back empty."""
        for part in voxelsOf(self.node.GetImageData()):
            part[np.isin(part, list(values))] = 0
            yield

    def _images(self, segmentation) -> list:
        layers = layersOf(segmentation, findTagged(segmentation, self.model, self.labels).values())
        return [layer.image for layer in layers if layer.image is not None]


def recordsOf(segmentationNode) -> list[ModelRecord]:
    """Return the records of ``segmentationNode``, one for every model that wrote to it."""
    nodes = (
        segmentationNode.GetNthNodeReference(ROLE, number)
        for number in range(segmentationNode.GetNumberOfNodeReferences(ROLE))
    )
    known = (node for node in nodes if node is not None and node.GetAttribute(_MODEL))
    return [ModelRecord(node) for node in known if node.GetImageData()]


def recordOf(segmentationNode, model: str) -> ModelRecord | None:
    """Return what the model of that name left in ``segmentationNode``; None if nobody knows."""
    return next((one for one in recordsOf(segmentationNode) if one.model == model), None)


def newRecord(
    segmentationNode, model: str, labels: dict[str, int], grid: VolumeGrid, axis: int
) -> Generator[None, None, ModelRecord]:
    """Return a record by which all that is in ``model``'s segments now counts as the model's.

    Also of what is beyond ``grid``. ``labels`` are the values by the tags of the segments. Raises
    Cancelled if the segmentation is removed meanwhile.
    """
    segmentation = segmentationNode.GetSegmentation()
    if now := segmentLabels(segmentation, model, labels, grid, np.dtype(np.uint8)):
        grid = gridAround(grid, now.extents)
    image = vtk.vtkImageData()
    image.SetDimensions(grid.shape[::-1])
    # One value more than labels, for voxels that are in several segments.
    image.AllocateScalars(scalarType(max(labels.values()) + 1), 1)
    array = voxelsOf(image)
    for first in range(0, grid.shape[0], _READ_AT_ONCE):
        last = min(first + _READ_AT_ONCE, grid.shape[0]) - 1
        slab = grid.slab(0, first, last)
        now = segmentLabels(segmentation, model, labels, grid, array.dtype)
        for box in [slab] if now is None else now.blocks(slab):
            boxOf(array, grid.extent, box)[:] = 0 if now is None else now.read(box)
            yield
            if segmentationNode.GetScene() is None:
                name = segmentationNode.GetName()
                raise Cancelled(f"Stopped: {name} is not in the scene any more.")
    if (known := recordOf(segmentationNode, model)) is not None:  # somebody else was faster
        return known
    attributes = {_MODEL: model, _LABELS: json.dumps(labels), _AXIS: str(axis)}
    attributes[REFERENCE] = referenceOf(segmentationNode)
    return _added(segmentationNode, image, grid.IJKToRAS, attributes)


def isOwn(segmentationNode, record: ModelRecord) -> bool:
    """Whether ``record`` is of ``segmentationNode`` and not of a copy of it, too."""
    return _users(record.node) == [segmentationNode]


def ownRecord(segmentationNode, record: ModelRecord) -> Generator[None, None, ModelRecord | None]:
    """Return ``record``, or a copy of it if a copy of the segmentation refers to it too.

    Whoever writes to a record must have done this before. None if it was removed meanwhile.
    """
    if isOwn(segmentationNode, record):
        return record
    image = yield from copyInSteps(record.node.GetImageData(), None)
    if not {segmentationNode} < set(_users(record.node)):  # somebody else was faster
        return recordOf(segmentationNode, record.model)
    attributes = {name: record.node.GetAttribute(name) for name in _COPIED}
    matrix = vtk.vtkMatrix4x4()
    record.node.GetIJKToRASMatrix(matrix)
    own = _added(segmentationNode, image, matrix, attributes)
    _dropReference(segmentationNode, record.node)
    own.node.gdlaHistory = record.history.copy()
    return own


def removeRecord(segmentationNode, record: ModelRecord) -> None:
    """Forget ``record``; its node goes too, unless a copy of the segmentation refers to it."""
    scene, node = segmentationNode.GetScene(), record.node
    _dropReference(segmentationNode, node)
    if not _users(node):
        storageNode = node.GetStorageNode()
        scene.RemoveNode(node)
        if storageNode is not None:
            scene.RemoveNode(storageNode)


def _added(segmentationNode, image, IJKToRAS, attributes: dict[str, str]) -> ModelRecord:
    scene = segmentationNode.GetScene()
    name = f"{segmentationNode.GetName()} as made by the model"
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", scene.GenerateUniqueName(name))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(IJKToRAS)
    node.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
    for one, value in attributes.items():
        node.SetAttribute(one, value)
    segmentationNode.AddNodeReferenceID(ROLE, node.GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item, beside = map(hierarchy.GetItemByDataNode, (node, segmentationNode))
    if item and beside:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))
    return ModelRecord(node)


def _users(recordNode) -> list:
    """Return the segmentations that refer to ``recordNode``."""
    if recordNode.GetScene() is None:
        return []
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", recordNode.GetScene())
        for number in range(node.GetNumberOfNodeReferences(ROLE))
        if node.GetNthNodeReferenceID(ROLE, number) == recordNode.GetID()
    ]


def _dropReference(segmentationNode, recordNode) -> None:
    for number in reversed(range(segmentationNode.GetNumberOfNodeReferences(ROLE))):
        if segmentationNode.GetNthNodeReferenceID(ROLE, number) == recordNode.GetID():
            segmentationNode.RemoveNthNodeReferenceID(ROLE, number)
