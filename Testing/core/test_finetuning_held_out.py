"""What judges is not what was learnt from: neither the patient nor the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from corrected_cases import CARD, add_ball_case, patient

pytest.importorskip("torch")  # a case is a case of a training

from GDLACore.errors import GDLAError, TrainingError
from GDLACore.finetuning.cases import ExaminedCase, examine, ranges_of
from GDLACore.finetuning.held_out import hold_out_named, hold_out_patients, hold_out_slices
from GDLACore.training.case_cache import content_key
from GDLACore.training.cases import IGNORED
from GDLACore.training.dataset import Dataset
from GDLACore.training_set import read_training_set


def examined(folder: Path, patients: list[int]) -> list[ExaminedCase]:
    for number, one in enumerate(patients):
        add_ball_case(folder, number, patient_number=one)
    return [examine(found, CARD) for found in read_training_set(folder)]


def test_whole_patients_are_held_out_and_the_seed_decides_which(tmp_path: Path) -> None:
    cases = examined(tmp_path, [1, 1, 2, 3, 4])
    split = hold_out_patients(cases, 0.25, seed=7)
    learning, held_out = ({c.patient for c in half} for half in (split.learning, split.held_out))
    assert split.independent and not learning & held_out
    assert (len(learning), len(held_out)) == (3, 1)
    assert hold_out_patients(cases, 0.25, seed=7) == split
    others = {hold_out_patients(cases, 0.25, seed=n).held_out[0].patient for n in range(20)}
    assert len(others) > 1


def test_patients_and_cases_can_be_named_but_not_in_both_halves(tmp_path: Path) -> None:
    cases = examined(tmp_path, [1, 1, 2])
    split = hold_out_named(cases, [patient(1)])
    assert ({c.patient for c in split.learning}, len(split.held_out)) == ({patient(2)}, 2)
    one = next(item.case.id for item in cases if item.case.patient == patient(1))
    with pytest.raises(TrainingError, match=f"Patient {patient(1)} has cases in both halves"):
        hold_out_named(cases, [one])
    with pytest.raises(TrainingError, match="called nobody"):
        hold_out_named(cases, ["nobody"])
    with pytest.raises(TrainingError, match="nothing is left to learn from"):
        hold_out_named(cases, [patient(1), patient(2)])


def test_one_patient_alone_is_refused_unless_slices_are_held_out(tmp_path: Path) -> None:
    cases = examined(tmp_path, [1, 1])
    with pytest.raises(TrainingError, match=r"one patient.*--hold-out-slices"):
        hold_out_patients(cases, 0.25, seed=0)
    split = hold_out_slices(cases, 0.25)
    assert not split.independent
    # Slices of 8 mm: one is between the halves.
    assert {c.taught for c in split.learning} == {((0, 5),)}
    assert {(c.taught, c.validation_slices) for c in split.held_out} == {(((6, 8),), (6, 8))}
    few = replace(cases[0], case=replace(cases[0].case, taught=((0, 2),)))
    with pytest.raises(GDLAError, match="2 reviewed slices, too few"):
        hold_out_slices([few], 0.5)


def test_patients_of_whom_there_is_the_same_image_are_one(tmp_path: Path) -> None:
    for image, one in ((1, 5), (1, 2), (2, 2), (3, 9)):  # patient 2 links two images
        add_ball_case(tmp_path, image, patient_number=one)
    cases = [examine(found, CARD) for found in read_training_set(tmp_path)]
    for seed in range(4):
        split = hold_out_patients(cases, 0.25, seed)
        assert {len(split.learning), len(split.held_out)} == {1, 3}
        assert {c.patient for c in (*split.learning, *split.held_out)} == {patient(2), patient(9)}
    with pytest.raises(TrainingError, match=f"Patient {patient(2)} has cases in both halves"):
        hold_out_named(cases, [patient(5)])
    assert len(hold_out_named(cases, [patient(5), patient(2)]).held_out) == 3


def test_slices_cannot_be_held_out_of_an_image_that_is_there_twice(tmp_path: Path) -> None:
    for reviewed in (((0, 5),), ((0, 8),)):
        add_ball_case(tmp_path, 1, reviewed=reviewed)
    one, other = (examine(found, CARD) for found in read_training_set(tmp_path))
    with pytest.raises(TrainingError, match=f"{one.case.id} and {other.case.id} show the same"):
        hold_out_slices([one, other], 0.25)


def test_the_two_halves_of_a_case_are_unpacked_apart(tmp_path: Path) -> None:
    split = hold_out_slices(examined(tmp_path, [1]), 0.25)
    names = ("liver", "spleen")
    halves = (*split.learning, *split.held_out)
    assert len({content_key(half, names) for half in halves}) == 2
    dataset = Dataset(names, (), split.learning, split.held_out).cached_in(tmp_path / "cache")
    for half in halves:
        _, classes = dataset.read(half)
        taught = [k for k in range(8) if (classes[k] != IGNORED).any()]
        assert ranges_of(taught) == half.taught
