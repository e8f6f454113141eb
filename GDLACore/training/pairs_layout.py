"""The layout ``pairs``: images and label maps whose names follow two patterns with ``{id}``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.training.case_list import label_values, unknown_structures
from GDLACore.training.folders import files_below
from GDLACore.training.labelled_image import LabelledImage, has_segments
from GDLACore.training.masked_picture import MaskedPicture
from GDLACore.training.splits import FoundCase

PAIRS_FIELDS = {"images", "labels", "patient", "values", "unknown"}


def find_pairs(
    data: dict[str, Any], path: Path, folder: Path, structures: tuple[str, ...], rule: str | None
) -> list[FoundCase]:
    """Return a case for every pair below ``folder`` that ``images`` and ``labels`` describe.

    ``patient`` is a regular expression whose first group is the patient in an id, without which
    every pair is a patient. ``values`` say what the labels mean; with a ``rule`` instead they are
    black-and-white masks of the only structure.

    Raises TrainingError, naming the file, if there are none, if an image lacks its labels or labels
    their image, or if a patient cannot be read from an id.
    """
    patterns = {kind: _pattern(data[kind], kind, path) for kind in ("images", "labels")}
    found: dict[str, dict[str, Path]] = {"images": {}, "labels": {}}
    for file in files_below(folder):
        name = file.relative_to(folder).as_posix()
        matches = {kind: p.fullmatch(name) for kind, p in patterns.items()}
        # "liver-seg.nii" is the labels of "liver" rather than the image of "liver-seg".
        ids = {kind: match["id"] for kind, match in matches.items() if match}
        if ids:
            kind = min(ids, key=lambda kind: len(ids[kind]))
            other = found[kind].setdefault(ids[kind], file)
            if other is not file:
                raise TrainingError(f"{other} and {file} have the same id {ids[kind]}.")
    if not (found["images"] or found["labels"]):
        raise TrainingError(
            f"No file below {folder} matches {data['images']} or {data['labels']}.",
            f"Correct `images` and `labels` in {path}; they are relative to the folder.",
        )
    _check_pairs(found, data)
    patient = _expression(data.get("patient"), path)
    return [
        FoundCase(
            _case(
                data, path, structures, rule, name, _patient(patient, name, image), image, labels
            ),
            image.relative_to(folder),
        )
        for name, image in sorted(found["images"].items())
        for labels in [found["labels"][name]]
    ]


def _case(
    data: dict[str, Any],
    path: Path,
    structures: tuple[str, ...],
    rule: str | None,
    name: str,
    patient: str,
    image: Path,
    labels: Path,
) -> LabelledImage | MaskedPicture:
    if rule is not None:
        return MaskedPicture(name, patient, image, (labels,), rule, blank=True)
    names = set(structures)
    values = label_values(data.get("values"), str(path), names, has_segments(labels))
    return LabelledImage(
        id=name,
        patient=patient,
        image=image,
        labels=labels,
        values=values,
        unknown=unknown_structures(data, str(path), names, values),
        weight=1.0,
        slices=None,
        validation_slices=None,
    )


def _check_pairs(found: dict[str, dict[str, Path]], data: dict[str, Any]) -> None:
    for have, want, what in (("images", "labels", "labels"), ("labels", "images", "image")):
        if alone := [file for name, file in found[have].items() if name not in found[want]]:
            more = f", like {len(alone) - 1} others" if len(alone) > 1 else ""
            raise TrainingError(
                f"{alone[0]} has no {what}{more}.", f"They would match {data[want]}."
            )


def _pattern(text: Any, field: str, path: Path) -> re.Pattern[str]:
    """Return a pattern of paths: {id} and * stand for any part of a name, ** for any folders."""
    if not isinstance(text, str) or "{id}" not in text:
        raise TrainingError(
            f"`{field}` in {path} must be a pattern with {{id}}, not {text!r}.",
            'An example is "images/{id}.nii.gz".',
        )
    parts = re.split(r"(\{id\}|\*\*/|\*)", text)
    special = {"**/": r"(?:.*/)?", "*": r"[^/]*"}
    expression, seen = "", False
    for part in parts:
        if part == "{id}":
            expression += "(?P=id)" if seen else "(?P<id>[^/]+)"
            seen = True
        else:
            expression += special.get(part, re.escape(part))
    return re.compile(expression, re.IGNORECASE)


def _expression(text: Any, path: Path) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        expression = re.compile(str(text))
    except re.error as error:
        raise TrainingError(
            f"`patient` in {path} is no regular expression: {error}.",
            'An example is "(P[0-9]+)_.*".',
        ) from error
    if expression.groups != 1:
        raise TrainingError(
            f"`patient` in {path} must have one group in parentheses, not {expression.groups}.",
            'An example is "(P[0-9]+)_.*".',
        )
    return expression


def _patient(expression: re.Pattern[str] | None, name: str, image: Path) -> str:
    if expression is None:
        return name
    match = expression.match(name)
    if match is None or not match[1]:
        raise TrainingError(
            f"The name of {image} does not say which patient it shows.",
            f"Its id is {name!r}; correct `patient` in the dataset file, or rename it.",
        )
    return match[1]
