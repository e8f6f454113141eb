"""Which structure of a model a segment stands for, whoever drew it."""

from __future__ import annotations

from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG, label_tag
from GDLACore.model.card import Label, ModelCard
from GDLASegmenterLib.CaseSegments import labelOfTerminology
from GDLASegmenterLib.ModelSegments import segmentTag


def structureOf(segment, card: ModelCard) -> Label | None:
    """Return the label of ``card`` that ``segment`` is most likely meant to be, None if none is.

    The tags of a model's segment say it, or else the terminology, or else the name.
    """
    if segmentTag(segment, MODEL_TAG).partition(":")[0] == card.name:
        for label in card.labels:
            if label_tag(label) == segmentTag(segment, LABEL_TAG):
                return label
    if (label := labelOfTerminology(segment.GetTerminology(), card)) is not None:
        return label
    name = segment.GetName().strip().casefold()
    return next((label for label in card.labels if label.name.casefold() == name), None)
