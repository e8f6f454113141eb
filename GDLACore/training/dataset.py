"""The dataset file: which images, whose label values mean what, and who is held out.

A YAML or JSON file that names a layout and a folder, or lists its cases (docs/datasets.md):

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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import SliceView, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.array_layouts import ARRAY_LAYOUTS, one_case_per_slice
from GDLACore.training.case_cache import content_key, read_through_cache
from GDLACore.training.case_check import (
    check_case,
    check_labels,
    check_occurrence,
    structures_in,
    warn_of_copies,
)
from GDLACore.training.case_list import listed_cases, listed_names
from GDLACore.training.cases import IGNORED, Case
from GDLACore.training.layouts import LAYOUT_FIELDS, found_cases
from GDLACore.training.settings_file import check_fields, read_settings
from GDLACore.training.splits import SPLIT_FIELDS, SPLITS, one_spelling, split_cases

_CASES_FIELDS = {"structures", "auxiliary", "cases"}


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
    def splits(self) -> dict[str, tuple[Case, ...]]:
        """The cases by the names of the splits: training, validation, test."""
        return {split: getattr(self, split) for split in SPLITS}

    @property
    def split_sha256(self) -> str:
        """SHA-256 over who is in which split: ids, patients and the contents of all files."""
        splits = {
            split: [[case.id, case.description()] for case in cases]
            for split, cases in self.splits.items()
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

    def check(self, card: ModelCard) -> None:
        """Read every file once, so that no training fails on one after hours.

        Volumes are unpacked into the cache meanwhile, if there is one. Raises what ``read`` does,
        and TrainingError or VolumeError if a case, the structures or a split do not suit ``card``.
        """
        check_labels(self.structures, card)
        known: dict[str, tuple[SliceView, frozenset[str]]] = {}
        found: dict[str, set[str]] = {split: set() for split, cases in self.splits.items() if cases}
        for split, cases in self.splits.items():
            for case in cases:
                key = content_key(case, self.names)
                if key not in known:
                    volume, classes = self.read(case)
                    check_case(case, volume, classes, card)
                    view = slice_view(volume, card.slice_axis, card.view)
                    known[key] = view, structures_in(classes, self.names)
                view, names = known[key]
                for span in (case.slices, case.validation_slices):
                    slices_of(span, case, view)
                found[split] |= names
        check_occurrence(found, self.names)
        warn_of_copies(self.splits)

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
    """Return the dataset described in ``path``; files are looked up but not opened.

    Raises TrainingError, naming the field or the file, if the dataset file is missing, malformed or
    inconsistent, if images and label maps do not pair up, or if a patient is in two splits.
    """
    data = read_settings(path, set(), _CASES_FIELDS | LAYOUT_FIELDS | SPLIT_FIELDS)
    if "layout" in data:
        structures, found = found_cases(data, path)
        auxiliary: tuple[str, ...] = ()
        _check_structures(structures, path)
    else:
        check_fields(data, str(path), {"structures", "cases"}, {"auxiliary"} | SPLIT_FIELDS)
        structures, auxiliary = (
            listed_names(data, field, path) for field in ("structures", "auxiliary")
        )
        _check_structures(structures, path, auxiliary)
        found = listed_cases(data["cases"], path, set(structures + auxiliary))
    found = one_spelling(found)
    splits = split_cases(found, data, path)
    training = splits["training"]
    watched = {case.id for case in training if case.validation_slices is not None}
    watched |= {case.id for case in splits["validation"]}
    validation = tuple(item.case for item in found if item.case.id in watched)
    if data.get("layout") in ARRAY_LAYOUTS:
        training = one_case_per_slice(training)
    return Dataset(structures, auxiliary, training, validation, splits["test"])


def _check_structures(
    structures: tuple[str, ...], path: Path, auxiliary: tuple[str, ...] = ()
) -> None:
    names = structures + auxiliary
    if not structures:
        raise TrainingError(f"`structures` is missing or empty in {path}.")
    if len(set(names)) < len(names):
        raise TrainingError(f"A structure is listed twice in {path}.")
    if len(names) >= IGNORED:
        raise TrainingError(f"{path} lists more than {IGNORED - 1} structures.")
