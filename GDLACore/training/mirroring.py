"""The patient's left and right in a slice, and the labels that change places in a mirror image.

A mirrored body is that of a person with the organs on the other side. What lies on its left is the
left kidney again, so "Left kidney" and "Right kidney" change places; a liver stays a liver.
"""

from __future__ import annotations

import re

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import patient_axes, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import Label, ModelCard
from GDLACore.model.terminology import Code, Terminology

# SNOMED CT
_LEFT, _RIGHT = "7771000", "24028007"
_OPPOSITE = {_LEFT: _RIGHT, _RIGHT: _LEFT}

NO_MIRRORING = "Set `reflections: none` in the recipe."

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)

_Codes = tuple[tuple[str, str] | None, ...]


def left_right_axis(volume: Volume, card: ModelCard) -> int | None:
    """Return the axis of a slice [h, w] that runs across the patient: 0, 1, or None.

    None means that no axis does, as in sagittal slices, or that nobody knows, as where the card
    takes the picture as it is stored.
    """
    if card.slice_axis == "acquisition":
        return None
    view = slice_view(volume, card.slice_axis, card.view)
    world, _ = patient_axes(volume.ijk_to_ras)
    _, *in_plane = (world[axis] for axis in view.axes)
    return in_plane.index(0) if 0 in in_plane else None


def sided_structure(card: ModelCard, auxiliary: tuple[str, ...]) -> str | None:
    """Return the name of a structure that has a side, None if none has.

    Sides are told as in ``exchanged_sides``.
    """
    labels = (label.name for label in card.labels if _has_side(label))
    return next(labels, None) or next(filter(_SIDE.search, auxiliary), None)


def exchanged_sides(card: ModelCard, auxiliary: tuple[str, ...]) -> np.ndarray:
    """Return, as uint8 [256], what each class is called in a mirror image.

    Sides are told by the modifiers "Left" and "Right" of the labels' terminology. Raises
    TrainingError if a label has a side and none of the card is its counterpart, or if the name of
    an ``auxiliary`` structure, which has no terminology, speaks of a side.
    """
    classes = np.arange(256, dtype=np.uint8)
    values = {_codes(label.terminology): label.value for label in card.labels}
    for label in card.labels:
        if not _has_side(label):
            continue
        mirrored = _mirrored(label)
        if mirrored not in values or len(values) < len(card.labels):
            raise TrainingError(
                f"A mirror image of {label.name!r} shows its counterpart on the other side, "
                f"which is no label of {card.name}, or not the only one with its terminology.",
                NO_MIRRORING,
            )
        classes[label.value] = values[mirrored]
    for name in auxiliary:
        if _SIDE.search(name):
            raise TrainingError(
                f"Whether the auxiliary structure {name!r} has a counterpart on the other side "
                "cannot be told from its name.",
                NO_MIRRORING,
            )
    return classes


def _has_side(label: Label) -> bool:
    return _mirrored(label) != _codes(label.terminology)


def _mirrored(label: Label) -> _Codes:
    """Return what identifies the counterpart of a structure; without a side it is its own."""
    return tuple(_opposite(code) for code in _codes(label.terminology))


def _codes(terminology: Terminology) -> _Codes:
    """Return what identifies a structure; the meanings of codes are for people."""
    codes: tuple[Code | None, ...] = (
        terminology.category,
        terminology.type,
        terminology.type_modifier,
        terminology.region,
        terminology.region_modifier,
    )
    return tuple(code and (code.scheme, code.value) for code in codes)


def _opposite(code: tuple[str, str] | None) -> tuple[str, str] | None:
    if code is None:
        return None
    scheme, value = code
    return scheme, _OPPOSITE.get(value, value)
