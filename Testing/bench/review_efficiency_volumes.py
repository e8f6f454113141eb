"""Real volumes with reference masks, and the models whose mistakes in them are to be found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from fresh import ROOT
from scipy import ndimage

from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.reference import read_reference
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.resources import resource_path
from GDLACore.training.dataset import read_dataset

_CT, _HEAD = ROOT / "recipes/demo-ct", ROOT / "recipes/demo-mr-head"
OTHER_HEAD = _HEAD / "data/other-head.nii.gz"
_TENTORIUM = 0.0  # mm: above it, the cerebrum is all the brain there is
_SULCI = 5  # mm: closed, as they are in the masks that the model learnt


@dataclass(frozen=True, eq=False)
class Case:
    """A volume whose mistakes are known.

    ``truth`` [k, j, i] holds the labels of the model's card where ``known`` of its structures are,
    0 elsewhere; what the model finds of other structures counts as 0. ``slices`` are the stored
    slices that can be judged, along the model's slice axis.
    """

    volume: Volume
    truth: np.ndarray
    known: tuple[int, ...]
    slices: range

    def wrong(self, labels: np.ndarray) -> np.ndarray:
        """Return which voxels of ``labels`` [k, j, i] are not what the reference says: bool."""
        return self.judged(labels) != self.truth

    def judged(self, labels: np.ndarray) -> np.ndarray:
        """Return ``labels`` [k, j, i] of the structures that the reference knows."""
        return np.where(np.isin(labels, self.known), labels, 0)


@dataclass(frozen=True)
class Candidate:
    """A volume and a model, where both are there; ``model`` a name of the catalogue or a file."""

    name: str
    held_out: bool
    model: str | Path
    needs: Path
    recipe: str
    read: Callable[[ModelCard], Case]

    @property
    def is_there(self) -> bool:
        """Return whether data and model are on this computer."""
        return self.needs.exists() and (isinstance(self.model, str) or self.model.exists())


def head_mask() -> tuple[Volume, np.ndarray]:
    """Return the other head and its cerebrum, its sulci closed, uint8 [k, j, i].

    It lies within FreeSurfer's pial surfaces, which know no cerebellum and no brain stem.
    """
    sys.path.append(str(_HEAD))
    from surface import read_surface, within

    head = read_volume(OTHER_HEAD)
    cerebrum = np.zeros(head.shape, bool)
    for side in ("left", "right"):
        cerebrum |= within(*read_surface(_HEAD / f"data/other-{side}.gii"), head)
    grown = ndimage.distance_transform_edt(~cerebrum) <= _SULCI
    closed = ndimage.distance_transform_edt(grown) > _SULCI
    return head, ndimage.binary_fill_holes(closed).astype(np.uint8)


def _sample_ct(card: ModelCard) -> Case:
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    reference = read_reference(
        resource_path("samples", "ct-abdomen-reference.nii.gz"), volume, card
    )
    truth = np.zeros(volume.shape, np.uint8)
    for label, values in reference.values.items():
        truth[np.isin(reference.labels, values)] = label
    return Case(volume, truth, tuple(sorted(reference.values)), range(len(truth)))


def _other_head(card: ModelCard) -> Case:
    head, mask = head_mask()
    return Case(head, mask, (1,), _above_the_tentorium(head, card))


def _learnt_head(card: ModelCard) -> Case:
    head = read_volume(_HEAD / "data/ch2.nii.gz")
    mask = read_labels(_HEAD / "data/ch2-brain.nii.gz", head) > 0
    return Case(head, mask.astype(np.uint8), (1,), _above_the_tentorium(head, card))


def _above_the_tentorium(head: Volume, card: ModelCard) -> range:
    """Return the slices of ``head``, which is stored along the patient's axes, from there up."""
    view = slice_view(head, card.slice_axis, card.view)
    axis = view.axes[0]
    step, start = head.ijk_to_ras[2, 2 - axis], head.ijk_to_ras[2, 3]
    above = np.flatnonzero(start + step * np.arange(view.count) >= _TENTORIUM)
    return range(int(above[0]), int(above[-1]) + 1)


def _recipes_ct(case_id: str, card: ModelCard) -> Case:
    dataset = read_dataset(_CT / "dataset.yaml")
    case = next(case for case in dataset.training if case.id == case_id)
    volume, classes = dataset.read(case)
    numbers = {name: number for number, name in enumerate(dataset.names, start=1)}
    labels = [label for label in card.labels if label.name not in case.unknown]
    truth = np.zeros(volume.shape, np.uint8)
    for label in labels:
        truth[classes == numbers[label.name]] = label.value
    count = slice_view(volume, card.slice_axis, card.view).count
    return Case(volume, truth, tuple(label.value for label in labels), range(count))


_CT_DATA, _HEAD_DATA = _CT / "data/dissection.nii.gz", _HEAD / "data/other-left.gii"

CANDIDATES = (
    Candidate(
        "CT, sample",
        True,
        "demo-ct",
        resource_path("samples", "ct-abdomen-dicom"),
        "",
        _sample_ct,
    ),
    Candidate(
        "MR, another head",
        True,
        ROOT / "runs/demo-mr-head/final.safetensors",
        _HEAD_DATA,
        "make demo-mr-head",
        _other_head,
    ),
    Candidate(
        "MR, ch2",
        True,
        ROOT / "runs/review-ch2/final.safetensors",
        _HEAD_DATA,
        "gdla train Testing/bench/review_efficiency_models/ch2-train.yaml -o runs/review-ch2",
        _learnt_head,
    ),
    Candidate(
        "CT, abdomen, learnt",
        False,
        "demo-ct",
        _CT_DATA,
        "python recipes/demo-ct/fetch_data.py",
        partial(_recipes_ct, "abdomen"),
    ),
    Candidate(
        "CT, dissection, learnt",
        False,
        "demo-ct",
        _CT_DATA,
        "python recipes/demo-ct/fetch_data.py",
        partial(_recipes_ct, "dissection"),
    ),
)
