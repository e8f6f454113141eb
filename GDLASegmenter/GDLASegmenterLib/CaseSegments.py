"""Which segments of a segmentation say where a model's structures are, whoever drew them."""

from __future__ import annotations

from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG, label_tag
from GDLACore.model.card import Label, ModelCard
from GDLASegmenterLib.ModelSegments import findSegments, segmentTag

_TYPE, _MODIFIER = 2, 3  # of a terminology's seven parts

# What Slicer gives a new segment until its user chooses: "tissue", which says nothing.
_UNSAID = ("85756007", "")


def caseSegments(segmentation, card: ModelCard) -> dict[str, int]:
    """Return, by the segments' IDs, of which of the card's labels they are: its value.

    They are those that the model made, and all others with a structure's terminology, so that a
    structure may consist of several. What the user copied of a segment that the model made is his
    backup of it and does not count. Names do not count either: they may say anything.
    """
    made = {segmentID: value for value, segmentID in findSegments(segmentation, card).items()}
    found: dict[str, int] = {}
    for segmentID in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentID)
        label = labelOfTerminology(segment.GetTerminology(), card)
        if segmentID in made:
            found[segmentID] = made[segmentID]
        elif label is not None and not _isMade(segment, label, card):
            found[segmentID] = label.value
    return found


def labelOfTerminology(terminology: str, card: ModelCard) -> Label | None:
    """Return the label that a serialized terminology means, by the rule of training.

    It has the same type and modifier, or else the same type without one: both lungs are lung. A
    kidney without a side is neither of two kidneys.
    """
    type_, modifier = _codes(terminology)
    if not type_ or (type_, modifier) == _UNSAID:
        return None
    ofType = [label for label in card.labels if label.terminology.type.value == type_]
    exact = [label for label in ofType if _modifier(label) == modifier]
    fitting = exact or [label for label in ofType if not _modifier(label)]
    return fitting[0] if len(fitting) == 1 else None


def _modifier(label: Label) -> str:
    modifier = label.terminology.type_modifier
    return "" if modifier is None else modifier.value


def _codes(terminology: str) -> tuple[str, str]:
    """Return the codes of type and modifier, "" where there is none."""
    parts = terminology.split("~")
    if len(parts) != 7:
        return "", ""
    type_, modifier = ((parts[index].split("^") + [""])[1] for index in (_TYPE, _MODIFIER))
    return type_, modifier


def _isMade(segment, label: Label, card: ModelCard) -> bool:
    """Return whether the tags of ``segment`` say that the model made it for ``label``."""
    return segmentTag(segment, MODEL_TAG).partition(":")[0] == card.name and segmentTag(
        segment, LABEL_TAG
    ) == label_tag(label)
