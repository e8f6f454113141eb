"""How far a segmentation was corrected after the models had made it, counted and in a table."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping

import numpy as np
import vtk
from slicer.i18n import tr as _

from GDLACore.errors import Cancelled, OutputError
from GDLACore.review.agreement import TOTAL, AgreementReport, agreement_report, count_voxels
from GDLASegmenterLib.CommonVoxels import stepsInPlace
from GDLASegmenterLib.Extent import Extent, blocks, intersection, isEmpty
from GDLASegmenterLib.LabelLayer import boxOf, extentOn, layersOf, sameGrid, stepsOn
from GDLASegmenterLib.ModelRecord import ModelRecord, recordsOf
from GDLASegmenterLib.ModelSegments import findTagged
from GDLASegmenterLib.NotedGrid import REFERENCE, gridOf, matrixOf, referenceOf
from GDLASegmenterLib.RecordedSlices import RecordedSlices
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.SegmentLabels import turned
from GDLASegmenterLib.SliceOrigins import SliceOrigin, areOriginsNoted
from GDLASegmenterLib.TableNode import addTableNode, column
from GDLASegmenterLib.VolumeGrid import VolumeGrid, volumeGrid
from GDLASegmenterLib.VolumesTable import transformScale

# A layer of segments on the grid of the record: voxels, where they are, and the values of labels.
_Layer = tuple[np.ndarray, Extent, dict[int, int]]

_COUNTED_AT_ONCE = 256 << 10  # voxels


def agreementSteps(segmentationNode) -> Generator[None, None, tuple[AgreementReport, ...]]:
    """Return, for each model that wrote to ``segmentationNode``, what was corrected since.

    Two reports each: about all slices, and about those that are reviewed, if there are any. Slices
    that were made with corrections of others are left out: what agrees there may be the user's. So
    are those that no run has written: the model was not asked about them. All is counted in the
    state of one moment. Yields after some milliseconds' work each.

    Raises OutputError if nobody knows what a model made by itself, or it cannot be compared: where
    segments overlap, the record does not say which of them a voxel was in; and hardening a
    transform moves the segments off their record. Raises Cancelled if the segmentation, or what the
    model made of it, is removed meanwhile.
    """
    records = recordsOf(segmentationNode)
    if not records:
        raise OutputError(
            _("Nobody knows what a model had made of {name}.").format(
                name=segmentationNode.GetName()
            ),
            _("Segment into it first: what is corrected from then on can be told."),
        )
    scale = transformScale(segmentationNode) / 1000
    reports: list[AgreementReport] = []
    for record in records:
        grid = volumeGrid(record.node)
        _checkPlace(segmentationNode, record, grid)
        marks = ReviewedSlices(segmentationNode, grid, record.axis(grid))
        yield from marks.refresh()
        counts = yield from _counted(segmentationNode, record, grid)
        voxel = abs(grid.IJKToRAS.Determinant()) * scale
        origins = RecordedSlices(segmentationNode, record, grid).origins
        propagated = {index for index, origin in origins.items() if origin.isPropagated}
        isNoted = areOriginsNoted(segmentationNode, grid, record.model)
        own = [
            index
            for index, count in enumerate(counts)
            if index not in propagated and (index in origins or count[:, 0].any() or not isNoted)
        ]
        reviewed = [index for index in own if index in marks.protected]
        for slices, found in ("all", own), ("reviewed", reviewed):
            if found:
                reports.append(
                    agreement_report(
                        *(record.model, _versions(origins, found)),
                        *(slices, counts[found], list(record.labels), voxel),
                    )
                )
    if not reports:
        raise OutputError(
            _("No model made a slice of {name} without corrections of other slices.").format(
                name=segmentationNode.GetName()
            ),
            _("Segment into it without them: only what it finds by itself can be compared."),
        )
    return tuple(reports)


def addAgreementTable(segmentationNode, reports: Iterable[AgreementReport]):
    """Add a table with a row for each agreement in ``reports``, and return its node."""
    rows = [(report, one) for report in reports for one in report.agreements]
    slices = {
        "all": _("all {count}"),
        "reviewed": _("reviewed {count}"),
    }
    name = _("{name} agreement").format(name=segmentationNode.GetName())
    text, number, whole = vtk.vtkStringArray, vtk.vtkDoubleArray, vtk.vtkLongLongArray
    return addTableNode(
        segmentationNode,
        name,
        (
            column(_("Model"), text, [report.model for report, one in rows]),
            column(_("Version"), text, [report.version for report, one in rows]),
            column(
                _("Slices"),
                text,
                [slices[report.slices].format(count=report.count) for report, one in rows],
            ),
            column(
                _("Structure"),
                text,
                [_("total") if one.structure == TOTAL else one.structure for _r, one in rows],
            ),
            column(_("Model [mL]"), number, [round(one.model_ml, 3) for _r, one in rows]),
            column(_("Corrected [mL]"), number, [round(one.corrected_ml, 3) for _r, one in rows]),
            column(
                _("Dice"),
                number,
                [math.nan if one.dice is None else round(one.dice, 4) for _r, one in rows],
            ),
            column(_("Voxels added"), whole, [one.added for _r, one in rows]),
            column(_("Voxels removed"), whole, [one.removed for _r, one in rows]),
        ),
    )


def _counted(
    segmentationNode, record: ModelRecord, grid: VolumeGrid
) -> Generator[None, None, np.ndarray]:
    """Return ``count_voxels`` of each slice [slices, structures, 3], all of the same moment."""
    segmentation, axis = segmentationNode.GetSegmentation(), record.axis(grid)
    labels = list(record.labels.values())
    while True:
        state, made = record.state(segmentation, grid), record.array(grid)
        layers = _layers(segmentationNode, record, grid)
        counts = np.zeros((grid.shape[axis], len(labels), 3), np.int64)
        overlaps = 0
        for index in range(len(counts)):
            for box in blocks(grid.slab(axis, index, index), _COUNTED_AT_ONCE):
                block = boxOf(made, grid.extent, box)
                overlaps += np.count_nonzero(block == np.iinfo(block.dtype).max)
                corrected = ((_part(layer, box), layer[2]) for layer in layers)
                for part in count_voxels(block, corrected, labels):
                    counts[index] += part
                    yield
                    _checkIsThere(segmentationNode, record.node)
        if record.state(segmentation, grid) == state:
            break
    if overlaps:
        raise OutputError(
            _(
                "{count} voxels of {name} were in several structures of {model} before anybody "
                "noted what the model left."
            ).format(count=overlaps, name=segmentationNode.GetName(), model=record.model),
            _("Segment into a new segmentation: what is corrected from then on can be told."),
        )
    return counts


def _checkIsThere(*nodes) -> None:
    for node in nodes:
        if node.GetScene() is None:
            raise Cancelled(
                _("Stopped: {name} is not in the scene any more.").format(name=node.GetName())
            )


def _checkPlace(segmentationNode, record: ModelRecord, grid: VolumeGrid) -> None:
    """Raise OutputError if the segments were moved by whole voxels of ``grid``, their record's.

    The grid on which a segmentation is edited moves with its segments when a transform is hardened.
    """
    now = gridOf(referenceOf(segmentationNode))
    then = gridOf(record.node.GetAttribute(REFERENCE) or "") or (matrixOf(grid), tuple(grid.shape))
    isComparable = now is not None and sorted(now[1]) == sorted(then[1])
    if isComparable and stepsInPlace(*now, *then) is None:
        raise _elsewhere(segmentationNode)


def _elsewhere(segmentationNode) -> OutputError:
    return OutputError(
        _("The segments of {name} are on another voxel grid than the model's.").format(
            name=segmentationNode.GetName()
        ),
        _(
            "Compare a segmentation that was corrected where it was made, before a transform is "
            "hardened on it."
        ),
    )


def _versions(origins: Mapping[int, SliceOrigin], slices: Iterable[int]) -> str:
    """Return which versions of the model ``slices`` are of, empty if nobody knows."""
    known = (origins[index].versions for index in slices if index in origins)
    return ", ".join(sorted(frozenset().union(*known)))


def _layers(segmentationNode, record: ModelRecord, grid: VolumeGrid) -> list[_Layer]:
    segmentation = segmentationNode.GetSegmentation()
    segments = findTagged(segmentation, record.model, record.labels)
    labels = {segmentID: label for label, segmentID in segments.items()}
    layers = []
    for layer in layersOf(segmentation, labels):
        if layer.image is None or not (
            isEmpty(layer.extent) or sameGrid(layer.image, grid.IJKToRAS)
        ):
            raise _elsewhere(segmentationNode)
        if not isEmpty(layer.extent):
            values = {
                labels[one]: segmentation.GetSegment(one).GetLabelValue()
                for one in layer.segmentIDs
            }
            array = turned(layer.array(), stepsOn(layer.image, grid.IJKToRAS))
            layers.append((array, extentOn(layer.image, grid.IJKToRAS), values))
    return layers


def _part(layer: _Layer, slab: Extent) -> np.ndarray:
    """Return what ``layer`` has in ``slab``, an extent of the grid; 0 beyond its own extent."""
    array, extent, _values = layer
    common = intersection(extent, slab)
    if common == slab:
        return boxOf(array, extent, slab)
    i0, i1, j0, j1, k0, k1 = slab
    part = np.zeros((k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), array.dtype)
    if not isEmpty(common):
        boxOf(part, slab, common)[:] = boxOf(array, extent, common)
    return part
