"""From slices that were corrected by hand to what the logic is asked for: those beside them."""

from __future__ import annotations

import numpy as np

from GDLACore.storage import StoredModel
from GDLASegmenterLib.ModelRecord import ModelRecord, recordsOf
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.RequestOfParameters import bordersOf, modelRequest
from GDLASegmenterLib.ReviewSubject import ReviewSubject
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.ViewedSlice import viewedPoint
from GDLASegmenterLib.VolumeGrid import volumeGrid

# Slices to either side: docs/review.md has measured what is gained so far away, and no farther.
_NEIGHBORS = 5


def recordOf(segmentationNode, model: StoredModel) -> ModelRecord | None:
    """Return what ``model`` left in ``segmentationNode``, None if it never wrote to it."""
    records = recordsOf(segmentationNode)
    return next((one for one in records if one.model == model.card.name), None)


def correctionRequest(
    subject: ReviewSubject,
    record: ModelRecord,
    viewed: int,
    parameters: Parameters,
    model: StoredModel,
    device: str,
) -> SegmentationRequest:
    """Return the request for the slices beside the edited one that is nearest to ``viewed``.

    All edited slices of ``subject`` say what ``model``, whose ``record`` it is, should have found;
    there must be one. Slices that are reviewed are computed, too, and not written.
    """
    volumeNode, axis = subject.volumeNode, subject.slices.axis
    grid = volumeGrid(volumeNode)
    edited = sorted(subject.marks.edited)
    nearest = min(edited, key=lambda index: abs(index - viewed))
    slices = range(
        max(nearest - _NEIGHBORS, 0), min(nearest + _NEIGHBORS + 1, subject.slices.count)
    )
    labels = record.read(subject.segmentationNode.GetSegmentation(), grid)
    corrections = {}
    for index in edited if labels is not None else ():
        found = labels.read(grid.slab(axis, index, index)).take(0, axis)
        found[found == np.iinfo(found.dtype).max] = 0  # in several structures: none of them
        corrections[index] = found
    return SegmentationRequest(
        volumeNode,
        modelRequest(model, device),
        model.card,
        outputNode=subject.segmentationNode,
        slices=slices,
        focusRAS=viewedPoint(volumeNode, axis),
        borders=bordersOf(parameters),
        batchSize=parameters.batchSize or None,
        confidence=parameters.confidence,
        corrections=corrections,
    )
