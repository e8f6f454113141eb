"""The dataset file: which images, whose label values mean what, and who is held out.

A YAML or JSON file:

    structures: [liver, spleen]        # the names of the card's labels, in its order
    auxiliary: [colon]                 # taught to the deep-supervision heads only (may be missing)
    validation_patients: [p2]          # the best weights are chosen by them
    test_patients: [p3]                # not looked at while training
    cases:
      - id: p1-ct
        patient: p1
        image: ct.nii.gz               # relative to the dataset file
        labels: ct-labels.nii.gz       # same grid as the image, up to flips and axis order
        values: {liver: [5], spleen: [1], colon: [20, 21]}
        unknown: [aorta]               # in the picture, perhaps, but not in the label map
        weight: 2                      # how often it is drawn, relative to the others
        slices: [60, 112]              # stored slices a <= k < b to learn from (all, if missing)
        validation_slices: [88, 94]    # not learnt from, for monitoring
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import SliceView
from GDLACore.imaging.volume import Volume
from GDLACore.training.case_cache import read_through_cache
from GDLACore.training.cases import IGNORED, Case
from GDLACore.training.labelled_image import LabelledImage
from GDLACore.training.settings_file import check_fields, read_settings


@dataclass(frozen=True)
class Dataset:
    """The structures a network is taught and the cases that teach them.

    ``test`` is neither learnt from nor looked at while training. Volumes are unpacked into the
    folder ``cache`` once and mapped from there, if there is one.
    """

    structures: tuple[str, ...]
    auxiliary: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...] = ()
    cache: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All structures in the order of their class indices 1, 2, 3, ..."""
        return self.structures + self.auxiliary

    @property
    def split_sha256(self) -> str:
        """SHA-256 over who is in which split: ids, patients and the contents of all files."""
        splits = {
            split: [[case.id, case.description()] for case in getattr(self, split)]
            for split in ("training", "validation", "test")
        }
        content = json.dumps([self.names, splits], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def cached_in(self, folder: Path) -> Dataset:
        """Return this dataset with its volumes unpacked into ``folder`` when they are first read.

        What is there needs as much room as all its volumes unpacked, and may be deleted any time.
        """
        return replace(self, cache=folder)

    def read(self, case: Case) -> tuple[Volume, np.ndarray]:
        """Return the image and its class indices, uint8 [k, j, i], 255 where nobody annotated.

        The arrays may be read-only. Raises VolumeError or TrainingError, naming the file, if a file
        cannot be read or does not fit the other, and OutputError if the cache cannot be written.
        """
        if self.cache is None:
            return case.read(self.names)
        return read_through_cache(case, self.names, self.cache)

    def hide_validation(self, case: Case, classes: np.ndarray, view: SliceView) -> np.ndarray:
        """Return ``classes`` with the case's validation slices, in ``view``, as not annotated."""
        if case.validation_slices is None:
            return classes
        hidden = classes.copy()
        span = slices_of(case.validation_slices, case, view)
        view.put(hidden, span, np.full((len(span), *view.slice_shape), IGNORED, np.uint8))
        return hidden

    def known(self, case: Case) -> np.ndarray:
        """Return bool [1 + structures]: which classes the case's label map annotates."""
        return np.array([True, *(name not in case.unknown for name in self.names)])


def slices_of(span: tuple[int, int] | None, case: Case, view: SliceView) -> range:
    """Return the slices of ``view`` that ``span`` means, all for None.

    Raises TrainingError if the case has fewer slices.
    """
    if span is None:
        return range(view.count)
    if span[1] > view.count:
        raise TrainingError(
            f"Case {case.id} has {view.count} slices across its slice axis, not {span[1]}.",
            "Correct its `slices` or `validation_slices` in the dataset file.",
        )
    return range(*span)


def read_dataset(path: Path) -> Dataset:
    """Return the dataset described in ``path``.

    Raises TrainingError, naming the field, if the file is missing, malformed or inconsistent, or if
    a patient is in both training and validation.
    """
    data = read_settings(
        path, {"structures", "cases"}, {"auxiliary", "validation_patients", "test_patients"}
    )
    structures, auxiliary = _names(data, "structures", path), _names(data, "auxiliary", path)
    if not structures:
        raise TrainingError(f"`structures` is missing or empty in {path}.")
    if len(set(structures + auxiliary)) < len(structures + auxiliary):
        raise TrainingError(f"A structure is listed twice in {path}.")
    if len(structures + auxiliary) >= IGNORED:
        raise TrainingError(f"{path} lists more than {IGNORED - 1} structures.")
    cases = tuple(
        _case(item, path, set(structures + auxiliary)) for item in data.get("cases") or []
    )
    if not cases:
        raise TrainingError(f"`cases` is missing or empty in {path}.")
    if len({case.id for case in cases}) < len(cases):
        raise TrainingError(f"Two cases have the same id in {path}.")
    held_out = {
        split: _held_out(data, f"{split}_patients", path, cases) for split in ("validation", "test")
    }
    if both := held_out["validation"] & held_out["test"]:
        raise TrainingError(
            f"Patient {min(both)} is in both validation_patients and test_patients in {path}.",
            "Take the patient out of one of them.",
        )
    training = tuple(c for c in cases if not any(c.patient in group for group in held_out.values()))
    if not training:
        raise TrainingError(f"Every patient in {path} is held out: nothing is left to learn from.")
    validation = tuple(
        c
        for c in cases
        if c.patient in held_out["validation"]
        or (c.validation_slices is not None and c.patient not in held_out["test"])
    )
    test = tuple(case for case in cases if case.patient in held_out["test"])
    return Dataset(structures, auxiliary, training, validation, test)


def _held_out(
    data: dict[str, Any], field: str, path: Path, cases: tuple[LabelledImage, ...]
) -> set[str]:
    patients = set(_names(data, field, path))
    if missing := patients - {case.patient for case in cases}:
        raise TrainingError(f"{field} {sorted(missing)} have no case in {path}.")
    return patients


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
    files = {field: path.parent / str(item[field]) for field in ("image", "labels")}
    for field, file in files.items():
        if not file.exists():
            raise TrainingError(f"The {field} file {file} of {where} does not exist.")
    values = _values(item["values"], where, names)
    unknown = frozenset(_names(item, "unknown", where))
    if strange := unknown - names:
        raise TrainingError(
            f"`unknown` of {where} lists {sorted(strange)}, which are no structures."
        )
    if both := unknown & values.keys():
        raise TrainingError(f"{sorted(both)} of {where} are in both `values` and `unknown`.")
    weight = item.get("weight", 1.0)
    if not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
        raise TrainingError(f"`weight` of {where} must be a positive number, not {weight!r}.")
    return LabelledImage(
        id=str(item["id"]),
        patient=str(item["patient"]),
        values=values,
        unknown=unknown,
        weight=float(weight),
        slices=_slices(item.get("slices"), f"`slices` of {where}"),
        validation_slices=_slices(item.get("validation_slices"), f"`validation_slices` of {where}"),
        **files,
    )


def _values(data: Any, where: str, names: set[str]) -> dict[str, tuple[int, ...]]:
    if not isinstance(data, dict) or not data:
        raise TrainingError(f"`values` of {where} must map structures to label values.")
    if strange := set(data) - names:
        raise TrainingError(
            f"`values` of {where} names {sorted(strange)}, which are no structures."
        )
    values: dict[str, tuple[int, ...]] = {}
    for name, numbers in data.items():
        numbers = numbers if isinstance(numbers, list) else [numbers]
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise TrainingError(
                f"The label values of {name!r} in {where} must be whole numbers above 0."
            )
        values[name] = tuple(numbers)
    listed = [number for numbers in values.values() for number in numbers]
    if len(set(listed)) < len(listed):
        raise TrainingError(f"A label value of {where} is given to two structures.")
    return values


def _slices(data: Any, where: str) -> tuple[int, int] | None:
    if data is None:
        return None
    if isinstance(data, list) and len(data) == 2 and all(isinstance(k, int) for k in data):
        if 0 <= data[0] < data[1]:
            return data[0], data[1]
    raise TrainingError(f"{where} must be [first, end] with first < end, not {data!r}.")


def _names(data: dict[str, Any], field: str, where: Path | str) -> tuple[str, ...]:
    names = data.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TrainingError(f"`{field}` in {where} must be a list of names.")
    return tuple(str(name) for name in names)
