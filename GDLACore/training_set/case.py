"""One case of a training set, and ``case.json``, which says what its two files do not.

Every case has a folder of its own and nothing lists the cases: so two programs can add to a
training set at once, cases can be copied from one set into another, and each can be removed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from GDLACore.errors import ModelFileError, TrainingError
from GDLACore.model.fields import Fields, parse_json, refuse

IMAGE = "image.nrrd"
SEGMENTATION = "segmentation.seg.nrrd"
DESCRIPTION = "case.json"

Ranges = tuple[tuple[int, int], ...]

_VERSION = 1
_MOST_SLICES = 1 << 31
_PATIENT = r"[0-9a-f]{16}"
_HINT = "Copy the case again, or remove its folder from the training set."


@dataclass(frozen=True)
class CorrectedCase:
    """An image, and a segmentation on its grid of which some slices are right.

    ``patient`` is a pseudonym: equal for images of one patient. ``model`` is the name and version
    of the model whose labels the segments are, where known. ``reviewed`` are the stored slices
    a <= n < b along array axis ``axis`` (of [k, j, i]) that somebody has checked; None for all.
    """

    id: str
    patient: str
    image: Path
    segmentation: Path
    model: str | None
    axis: int
    reviewed: Ranges | None


def described(patient: str, model: str, axis: int, reviewed: Ranges | None) -> str:
    """Return the text of ``case.json``."""
    description = {
        "version": _VERSION,
        "patient": patient,
        "model": model,
        "axis": axis,
        "reviewed": reviewed,
    }
    return json.dumps(description, indent=2) + "\n"


def read_case(folder: Path) -> CorrectedCase:
    """Return the case in ``folder``. Raises TrainingError, naming the file, if it is not whole."""
    path = folder / DESCRIPTION
    try:
        fields = Fields(parse_json(path.read_bytes(), str(path)))
        if (version := fields.integer("version", 1, 1 << 31)) != _VERSION:
            raise TrainingError(
                f"{path} was written by a newer GDLASegmenter (version {version} of the format).",
                "Update GDLASegmenter.",
            )
        case = CorrectedCase(
            id=folder.name,
            patient=fields.matching("patient", _PATIENT, "16 hexadecimal digits"),
            image=folder / IMAGE,
            segmentation=folder / SEGMENTATION,
            model=fields.text("model"),
            axis=fields.integer("axis", 0, 2),
            reviewed=_ranges(fields.any("reviewed")),
        )
        fields.finish()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}.", _HINT) from error
    except ModelFileError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise TrainingError(message, _HINT) from error
    for file in (case.image, case.segmentation):
        if not file.is_file():
            raise TrainingError(f"{file} is missing.", _HINT)
    return case


def is_in_order(ranges: Ranges) -> bool:
    """Return whether ``ranges`` are not empty, do not overlap and rise."""
    ends = [end for pair in ranges for end in pair]
    return (
        all(0 <= first < end for first, end in ranges)
        and all(one <= other for one, other in zip(ends, ends[1:], strict=False))
        and bool(ranges)
    )


def _ranges(data: Any) -> Ranges | None:
    if data is None:
        return None
    if not isinstance(data, list) or not all(_is_pair(item) for item in data):
        refuse("reviewed", "must be a list of pairs of whole numbers")
    ranges = tuple((first, end) for first, end in data)
    if not is_in_order(ranges):
        refuse("reviewed", "must list ranges [first, end], first < end, one after the other")
    return ranges


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 2
        and all(type(number) is int and number < _MOST_SLICES for number in item)
    )
