"""What a case of a training set is written from: copies that nobody changes, taken in steps."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import slicer

from GDLACore.errors import Cancelled, OutputError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import Label, ModelCard
from GDLASegmenterLib.CaseLabels import CaseLayer
from GDLASegmenterLib.CaseSegments import caseSegments
from GDLASegmenterLib.Extent import isEmpty
from GDLASegmenterLib.LabelLayer import (
    LABELMAP,
    LabelLayer,
    extentOn,
    layersOf,
    sameGrid,
    stepsOn,
)
from GDLASegmenterLib.ViewedSlice import sliceAxis
from GDLASegmenterLib.VolumeGrid import VolumeGrid, sameTransform, volumeGrid
from GDLASegmenterLib.VolumeInput import readVolume, volumeState

_COPIED_AT_ONCE = 4 << 20  # bytes; fresh memory costs half a millisecond per megabyte


@dataclass(frozen=True, eq=False)
class Case:
    """An image with the segments of a model's structures, as they are in the scene.

    ``structures`` are the labels that have a segment, empty or not; ``leftOut`` are the names of
    segments that belong to none. ``state`` is another one whenever anything of it has changed;
    ``axis`` is the array axis across the model's slices.
    """

    volume: Volume
    layers: tuple[CaseLayer, ...]
    structures: tuple[Label, ...]
    leftOut: tuple[str, ...]
    card: ModelCard
    axis: int
    patientID: str
    segmentationName: str
    state: object

    @property
    def sliceCount(self) -> int:
        return self.volume.shape[self.axis]


def sceneCase(volumeNode, segmentationNode, card: ModelCard) -> Case:
    """Return the case that the nodes make; its arrays are the nodes' own memory.

    Raises VolumeError or OutputError if there is nothing in it to learn for ``card``'s model, or
    volume and segmentation do not go together.
    """
    volume, grid = readVolume(volumeNode), volumeGrid(volumeNode)
    segmentation = segmentationNode.GetSegmentation()
    segments = caseSegments(segmentation, card)
    layers = _layers(segmentationNode, segments, grid, card)
    return Case(
        volume,
        tuple(
            _caseLayer(segmentation, layer, segments, grid)
            for layer in layers
            if not isEmpty(layer.extent)
        ),
        tuple(label for label in card.labels if label.value in segments.values()),
        tuple(
            segmentation.GetSegment(one).GetName()
            for one in segmentation.GetSegmentIDs()
            if one not in segments
        ),
        card,
        sliceAxis(volume, card),
        _patientID(volumeNode),
        segmentationNode.GetName(),
        state=(
            volumeState(volumeNode),
            segments,
            [(layer.image, layer.state) for layer in layers],
            [segmentation.GetSegment(one).GetLabelValue() for one in segments],
        ),
    )


def copyInSteps(volumeNode, segmentationNode, card: ModelCard) -> Generator[None, None, Case]:
    """Return ``sceneCase`` with arrays of its own, all of one and the same moment.

    Yields after some milliseconds' work each; what is changed in between is copied again. Raises
    Cancelled if one of the nodes goes.
    """
    while True:
        case = sceneCase(volumeNode, segmentationNode, card)
        array = yield from _copied(case.volume.array)
        layers = []
        for layer in case.layers:
            layers.append(replace(layer, array=(yield from _copied(layer.array))))
        for node in (volumeNode, segmentationNode):
            if node.GetScene() is None:
                raise Cancelled(f"Stopped: {node.GetName()} is not in the scene any more.")
        if sceneCase(volumeNode, segmentationNode, card).state == case.state:
            volume = replace(case.volume, array=array)
            return replace(case, volume=volume, layers=tuple(layers))


def _copied(array: np.ndarray) -> Generator[None, None, np.ndarray]:
    copy = np.empty(array.shape, array.dtype)
    rows, copies = (one.reshape(-1, *one.shape[2:]) for one in (array, copy))
    atOnce = max(1, _COPIED_AT_ONCE // rows[:1].nbytes)
    for start in range(0, len(rows), atOnce):
        copies[start : start + atOnce] = rows[start : start + atOnce]
        yield
    return copy


def _layers(
    segmentationNode, segments: dict[str, int], grid: VolumeGrid, card: ModelCard
) -> list[LabelLayer]:
    """Return the layers of ``segments``, which must be voxels of ``grid``."""
    segmentation = segmentationNode.GetSegmentation()
    name, volume = segmentationNode.GetName(), grid.volumeName
    if not segments:
        raise OutputError(
            f"{name} has no segment of the structures of {card.title}.",
            "Choose the checkpoint that made it, or give segments its terminology.",
        )
    if segmentation.GetSourceRepresentationName() != LABELMAP:
        raise OutputError(
            f"{name} consists of surfaces or fractions, not of voxels.",
            "In the Segmentations module, make binary labelmap its source representation.",
        )
    layers = layersOf(segmentation, segments)
    if any(layer.image is None for layer in layers):
        raise OutputError(
            f"{name} has a segment without voxels.",
            "Remove the segment, or draw it in Segment Editor.",
        )
    if not all(isEmpty(one.extent) or sameGrid(one.image, grid.IJKToRAS) for one in layers):
        raise OutputError(
            f"{name} was made on another voxel grid than that of {volume}.",
            "Choose the volume it was made of, or resample it in the Segmentations module.",
        )
    if not sameTransform(segmentationNode, grid):
        raise OutputError(
            f"{name} and {volume} are under different transforms.",
            "Put both under the same transform in the Data module.",
        )
    return layers


def _caseLayer(
    segmentation, layer: LabelLayer, segments: dict[str, int], grid: VolumeGrid
) -> CaseLayer:
    return CaseLayer(
        layer.array(),
        extentOn(layer.image, grid.IJKToRAS),
        np.round(stepsOn(layer.image, grid.IJKToRAS)[:3, :3]).astype(int),
        {
            segmentation.GetSegment(segmentID).GetLabelValue(): segments[segmentID]
            for segmentID in layer.segmentIDs
        },
    )


def _patientID(volumeNode) -> str:
    """Return the DICOM patient ID that the importer noted in the subject hierarchy, if any."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
    if not item:
        return ""
    names = slicer.vtkMRMLSubjectHierarchyConstants
    return hierarchy.GetAttributeFromItemAncestor(
        item, names.GetDICOMPatientIDAttributeName(), names.GetDICOMLevelPatient()
    )
