"""The dataset file: which images, whose label values mean what, and who is held out.

A YAML or JSON file:

    structures: [liver, spleen]        # the names of the card's labels, in its order
    auxiliary: [colon]                 # taught to the deep-supervision heads only (may be missing)
    validation_patients: [p2]
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.view import SliceView
from GDLACore.imaging.volume import Volume
from GDLACore.training.loss import IGNORED
from GDLACore.training.settings_file import check_fields, read_settings


@dataclass(frozen=True)
class Case:
    """One image with its label map, not yet read."""

    id: str
    patient: str
    image: Path
    labels: Path
    values: dict[str, tuple[int, ...]]
    unknown: frozenset[str]
    weight: float
    slices: tuple[int, int] | None
    validation_slices: tuple[int, int] | None

    def description(self) -> dict[str, Any]:
        """Return what the case teaches, with the SHA-256 of its files in place of their paths."""
        return {
            "patient": self.patient,
            "image": sha256(self.image),
            "labels": sha256(self.labels),
            "values": self.values,
            "unknown": sorted(self.unknown),
            "weight": self.weight,
            "slices": self.slices,
            "validation_slices": self.validation_slices,
        }


@dataclass(frozen=True)
class Dataset:
    """The structures a network is taught and the cases that teach them."""

    structures: tuple[str, ...]
    auxiliary: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All structures in the order of their class indices 1, 2, 3, ..."""
        return self.structures + self.auxiliary

    def read(self, case: Case) -> tuple[Volume, np.ndarray]:
        """Return the image and its class indices, uint8 [k, j, i].

        Raises VolumeError if a file cannot be read or the grids differ, TrainingError if the label
        map holds nothing the case's ``values`` name.
        """
        volume = read_volume(case.image)
        stored = read_labels(case.labels, volume)
        classes = np.zeros(stored.shape, np.uint8)
        for index, name in enumerate(self.names, start=1):
            classes[np.isin(stored, case.values.get(name, ()))] = index
        if not classes.any():
            raise TrainingError(
                f"The label map {case.labels} holds none of the values listed for case {case.id}.",
                "Check the case's `values` in the dataset file.",
            )
        return volume, classes

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
    data = read_settings(path, {"structures", "cases"}, {"auxiliary", "validation_patients"})
    structures, auxiliary = _names(data, "structures", path), _names(data, "auxiliary", path)
    if not structures:
        raise TrainingError(f"`structures` is missing or empty in {path}.")
    if len(set(structures + auxiliary)) < len(structures + auxiliary):
        raise TrainingError(f"A structure is listed twice in {path}.")
    if len(structures + auxiliary) >= IGNORED:
        raise TrainingError(f"{path} lists more than {IGNORED - 1} structures.")
    held_out = set(_names(data, "validation_patients", path))
    cases = [_case(item, path, set(structures + auxiliary)) for item in data.get("cases") or []]
    if not cases:
        raise TrainingError(f"`cases` is missing or empty in {path}.")
    if len({case.id for case in cases}) < len(cases):
        raise TrainingError(f"Two cases have the same id in {path}.")
    if missing := held_out - {case.patient for case in cases}:
        raise TrainingError(f"validation_patients {sorted(missing)} have no case in {path}.")
    training = tuple(case for case in cases if case.patient not in held_out)
    if not training:
        raise TrainingError(f"Every patient in {path} is held out: nothing is left to learn from.")
    validation = tuple(c for c in cases if c.patient in held_out or c.validation_slices is not None)
    return Dataset(structures, auxiliary, training, validation)


def _case(item: Any, path: Path, names: set[str]) -> Case:
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
    return Case(
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


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_dir():
        listing = {file.name: sha256(file) for file in sorted(path.iterdir()) if file.is_file()}
        return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()
