"""Which segments of a segmentation say where a model's structures are, whoever drew them."""

from __future__ import annotations

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.ModelSegments import findSegments

_CODES = (1, 2, 3, 5, 6)  # of a terminology's seven parts; the others name the lists of codes


def caseSegments(segmentation, card: ModelCard) -> dict[int, str]:
    """Return, by the card's label value, the IDs of the segments of the card's structures.

    They are those that the model made and, of structures without such a one, the first segment with
    the structure's terminology. Names do not count: they may say anything.
    """
    found = findSegments(segmentation, card)
    values = {
        codesOf(label.terminology.serialized()): label.value
        for label in card.labels
        if label.value not in found
    }
    for segmentID in segmentation.GetSegmentIDs():
        value = values.get(codesOf(segmentation.GetSegment(segmentID).GetTerminology()))
        if value is not None:
            found.setdefault(value, segmentID)
    return dict(sorted(found.items()))


def codesOf(terminology: str) -> tuple[tuple[str, ...], ...]:
    """Return scheme and value of the codes in a serialized terminology, without their meanings."""
    parts = terminology.split("~")
    if len(parts) != 7:
        return ()
    return tuple(tuple(parts[index].split("^")[:2]) for index in _CODES)
