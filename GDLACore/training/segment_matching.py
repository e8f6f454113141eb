"""Which segment of a segmentation is which structure of a model.

By terminology: the codes are the same in every language and spelling. A segment of equal type
belongs to a label without a modifier (left and right lung are lung) and to one of equal modifier,
which is preferred. Only a segment that carries no codes, or those Slicer gives before its user
chooses, is matched by its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from GDLACore.imaging.segments import Segment
from GDLACore.model.card import Label, ModelCard

_LEFT, _RIGHT = "7771000", "24028007"  # SNOMED CT


@dataclass(frozen=True)
class Matching:
    """The segments of each structure, by the structure's name, and the names of those of none.

    ``by_name`` are the names of the segments that were matched for want of codes. ``one_sided`` are
    the labels without a side of which there is one side alone: a part of the structure.
    """

    segments: dict[str, tuple[Segment, ...]]
    by_name: tuple[str, ...]
    ignored: tuple[str, ...]
    one_sided: tuple[str, ...]

    @property
    def whole(self) -> dict[str, tuple[Segment, ...]]:
        """Return the segments of the structures that are not there in part only."""
        return {name: s for name, s in self.segments.items() if name not in self.one_sided}


def match_segments(segments: Iterable[Segment], card: ModelCard) -> Matching:
    """Return which of ``segments`` belong to which label of ``card``.

    One that fits several labels equally well, such as a kidney without a side, belongs to none.
    """
    matched: dict[str, tuple[Segment, ...]] = {}
    by_name, ignored = [], []
    for segment in segments:
        label = _label_of(segment, card)
        if label is None:
            ignored.append(segment.name)
            continue
        matched[label.name] = (*matched.get(label.name, ()), segment)
        if not segment.type:
            by_name.append(segment.name)
    sides = {name: {segment.modifier for segment in found} for name, found in matched.items()}
    one_sided = tuple(
        label.name
        for label in card.labels
        if not _modifier(label) and sides.get(label.name) in ({_LEFT}, {_RIGHT})
    )
    return Matching(matched, tuple(by_name), tuple(ignored), one_sided)


def _label_of(segment: Segment, card: ModelCard) -> Label | None:
    if not segment.type:
        wanted = segment.name.strip().casefold()
        return _only([label for label in card.labels if label.name.casefold() == wanted])
    of_type = [label for label in card.labels if label.terminology.type.value == segment.type]
    exact = [label for label in of_type if _modifier(label) == segment.modifier]
    return _only(exact or [label for label in of_type if not _modifier(label)])


def _modifier(label: Label) -> str:
    modifier = label.terminology.type_modifier
    return "" if modifier is None else modifier.value


def _only(labels: list[Label]) -> Label | None:
    return labels[0] if len(labels) == 1 else None
