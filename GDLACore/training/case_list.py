"""The ``cases`` of a dataset file: images and label maps, one by one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.training.labelled_image import LabelledImage, has_segments
from GDLACore.training.settings_file import check_fields
from GDLACore.training.splits import FoundCase

_END = 1 << 63  # of the numbers that a label map can hold


def listed_cases(items: Any, path: Path, names: set[str]) -> list[FoundCase]:
    """Return the cases that the field ``cases`` of the dataset file ``path`` lists.

    ``names`` are the structures. Raises TrainingError, naming the case, for what is missing, wrong
    or contradictory, and for files that do not exist.
    """
    if not isinstance(items, list) or not items:
        raise TrainingError(f"`cases` is missing or empty in {path}.")
    cases = [_case(item, path, names) for item in items]
    return [
        FoundCase(case, Path(str(item["image"]))) for case, item in zip(cases, items, strict=True)
    ]


def text_of(data: dict[str, Any], field: str, where: Path | str) -> str:
    """Return the name in ``field`` of ``data``; raise TrainingError if there is none."""
    value = data[field]
    if value is None or isinstance(value, (bool, list, dict)) or not str(value).strip():
        raise TrainingError(f"`{field}` of {where} must be a name, not {value!r}.")
    return str(value)


def listed_names(data: dict[str, Any], field: str, where: Path | str) -> tuple[str, ...]:
    """Return the list of names in ``field`` of ``data``, none if it is missing."""
    names = data.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TrainingError(f"`{field}` in {where} must be a list of names.")
    return tuple(str(name) for name in names)


def _case(item: Any, path: Path, names: set[str]) -> LabelledImage:
    where = f"A case in {path}"
    if isinstance(item, dict) and "id" in item:
        where = f"Case {item['id']} in {path}"
    item = check_fields(
        item,
        where,
        {"id", "patient", "image", "labels", "values"},
        {"unknown", "weight", "slices", "validation_slices"},
    )
    files = {field: path.parent / text_of(item, field, where) for field in ("image", "labels")}
    for field, file in files.items():
        if not os.path.exists(file):  # names that no file can have do not exist, either
            raise TrainingError(f"The {field} file {file} of {where} does not exist.")
    values = label_values(item["values"], where, names, has_segments(files["labels"]))
    unknown = unknown_structures(item, where, names, values)
    weight = item.get("weight", 1.0)
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not 0 < weight <= sys.float_info.max:
        raise TrainingError(f"`weight` of {where} must be a positive number, not {weight!r:.30}.")
    return LabelledImage(
        id=text_of(item, "id", where),
        patient=text_of(item, "patient", where),
        values=values,
        unknown=unknown,
        weight=float(weight),
        slices=_slices(item.get("slices"), f"`slices` of {where}"),
        validation_slices=_slices(item.get("validation_slices"), f"`validation_slices` of {where}"),
        **files,
    )


def label_values(
    data: Any, where: str, names: set[str], segments: bool
) -> dict[str, tuple[int | str, ...]]:
    """Return the label values of each structure or, with ``segments``, names or codes of segments.

    Raises TrainingError if that is not what ``data`` maps ``names`` to.
    """
    if not isinstance(data, dict) or not data:
        raise TrainingError(f"`values` of {where} must map structures to label values.")
    if strange := set(data) - names:
        raise TrainingError(
            f"`values` of {where} names {sorted(map(str, strange))}, which are no structures."
        )
    values: dict[str, tuple[int | str, ...]] = {}
    for name, numbers in data.items():
        numbers = numbers if isinstance(numbers, list) else [numbers]
        named = segments and all(isinstance(number, str) for number in numbers)
        if not numbers:
            raise TrainingError(
                f"`values` of {where} gives {name!r} no label value.",
                "List it in `unknown`, or leave it out if none of it is in the picture.",
            )
        if not named and not all(type(number) is int and 0 < number < _END for number in numbers):
            raise TrainingError(
                f"The label values of {name!r} in {where} must be whole numbers above 0"
                f"{', or names of segments' if segments else ''}."
            )
        values[name] = tuple(numbers)
    listed = [number for numbers in values.values() for number in numbers]
    if len(set(listed)) < len(listed):
        raise TrainingError(f"A label value of {where} is given to two structures.")
    if len({type(number) for number in listed}) > 1:
        raise TrainingError(f"`values` of {where} has both numbers and names of segments.")
    return values


def unknown_structures(
    data: dict[str, Any], where: str, names: set[str], values: dict[str, Any]
) -> frozenset[str]:
    """Return the structures that ``unknown`` of ``data`` lists, which must have no ``values``."""
    unknown = frozenset(listed_names(data, "unknown", where))
    if strange := unknown - names:
        raise TrainingError(
            f"`unknown` of {where} lists {sorted(strange)}, which are no structures."
        )
    if both := unknown & values.keys():
        raise TrainingError(f"{sorted(both)} of {where} are in both `values` and `unknown`.")
    return unknown


def _slices(data: Any, where: str) -> tuple[int, int] | None:
    if data is None:
        return None
    if isinstance(data, list) and len(data) == 2 and all(isinstance(k, int) for k in data):
        if 0 <= data[0] < data[1]:
            return data[0], data[1]
    raise TrainingError(f"{where} must be [first, end] with first < end, not {data!r}.")
