"""From slices that were corrected by hand to what the logic is asked for: those beside them."""

from __future__ import annotations

import numpy as np
from slicer.i18n import tr as _

from GDLACore.errors import VolumeError
from GDLACore.options import UNSAID
from GDLACore.remote import RemoteServer
from GDLACore.storage import StoredModel
from GDLASegmenterLib.LabelLayer import boxOf
from GDLASegmenterLib.ModelRecord import ModelRecord
from GDLASegmenterLib.ModelSegments import labelTags
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.Region import Region, readRegion
from GDLASegmenterLib.RequestOfParameters import bordersOf, modelRequest, regionOf
from GDLASegmenterLib.ReviewSubject import ReviewSubject
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SegmentLabels import segmentLabels
from GDLASegmenterLib.SliceOrigins import readOrigins
from GDLASegmenterLib.ViewedSlice import viewedPoint
from GDLASegmenterLib.VolumeGrid import volumeGrid
from GDLASegmenterLib.VolumeInput import readVolume

# Slices to either side: docs/review.md has measured what is gained so far away, and no farther.
_NEIGHBORS = 5


def correctionRequest(
    subject: ReviewSubject,
    record: ModelRecord,
    viewed: int,
    parameters: Parameters,
    model: StoredModel,
    device: str,
    server: RemoteServer | None = None,
) -> SegmentationRequest:
    """Return the request for the slices beside the edited one that is nearest to ``viewed``.

    The slices of ``subject`` in which the segments of ``model``, whose ``record`` it is, are edited
    say what it should have found; there must be one. Slices that are reviewed are computed, too,
    and not written. Raises VolumeError if the parameters ask for a region that is none, or is
    elsewhere.
    """
    volumeNode, axis = subject.volumeNode, subject.slices.axis
    edited = sorted(subject.marks.editedOf(record.model))
    nearest = min(edited, key=lambda index: abs(index - viewed))
    first = max(nearest - _NEIGHBORS, 0)
    last = min(nearest + _NEIGHBORS, subject.slices.count - 1)
    regionNode, region = regionOf(parameters), None
    if regionNode is not None:
        region = readRegion(regionNode, readVolume(volumeNode))
        inside = region.slices(axis, subject.slices.count)
        first, last = max(first, inside[0]), min(last, inside[-1])
        if first > last:
            raise VolumeError(
                _("{region} does not reach to the slices beside slice {number}.").format(
                    region=regionNode.GetName(), number=nearest
                ),
                _("Move it over them, or choose another part of the volume."),
            )
    return SegmentationRequest(
        volumeNode,
        modelRequest(model, device, server),
        model.card,
        outputNode=subject.segmentationNode,
        slices=range(first, last + 1),
        regionNode=regionNode,
        focusRAS=viewedPoint(volumeNode, axis),
        borders=bordersOf(parameters),
        batchSize=parameters.batchSize or None,
        confidence=parameters.confidence,
        corrections=_corrections(subject, record, edited, model, region),
    )


def _corrections(
    subject: ReviewSubject,
    record: ModelRecord,
    edited: list[int],
    model: StoredModel,
    region: Region | None,
) -> dict[int, np.ndarray]:
    """Return what the user says of the ``edited`` slices, in the numbers of ``model``'s card.

    Nothing is said of voxels that are as the network left them: what it finds now, with other
    borders perhaps, is not contradicted by that. But where corrections of other slices had a part
    in what was left, all that the slice holds is the user's word. Nothing is said of voxels in
    several structures, nor of empty ones that were in a segment which was removed, or which the
    model may never have been asked about: outside of the region, and in slices in which it left
    nothing at all.
    """
    grid, axis = volumeGrid(subject.volumeNode), subject.slices.axis
    recorded, segmentation = record.array(grid), subject.segmentationNode.GetSegmentation()
    kind, tags = np.dtype(np.uint16), labelTags(model.card)
    labels = segmentLabels(segmentation, record.model, tags, grid, kind)
    if labels is None or recorded is None:
        return {}
    # What the card has no number for matches nothing: UNSAID is no label.
    numbers = np.full(np.iinfo(recorded.dtype).max + 1, UNSAID, kind)
    numbers[[0, *record.labels.values()]] = [0, *(tags.get(tag, UNSAID) for tag in record.labels)]
    origins = readOrigins(subject.segmentationNode, grid, record.model)
    removed = [old for tag, old in record.labels.items() if tags.get(tag) not in labels.present]
    corrections = {}
    for index in edited:
        slab = grid.slab(axis, index, index)
        # In 16 bits, what is in several structures is UNSAID already.
        found, left = labels.read(slab), boxOf(recorded, grid.extent, slab)
        isAsked = np.full(left.shape, left.any())
        if region is not None:
            isAsked &= region.mask(slab)
        isSaid = np.where(left == 0, isAsked, ~np.isin(left, removed))
        found[(found == 0) & ~isSaid] = UNSAID
        origin = origins.get((axis, index))
        if origin is None or not origin.isPropagated:
            found[found == numbers[left]] = UNSAID
        corrections[index] = found.take(0, axis)
    return corrections
