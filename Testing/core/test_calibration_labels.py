"""Which of the circulating label orders a segmented CT is in, told from the organs themselves."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from abdomen import card_in_order, make_abdomen
from phantom import make_card

from GDLACore.calibration.label_order import (
    ANOTHER_ORDER,
    CANNOT_TELL,
    EXCHANGED,
    IMPLAUSIBLE,
    MIRRORED,
    PLAUSIBLE,
    judge_labels,
)
from GDLACore.calibration.organ_measures import card_organs, found_organs
from GDLACore.calibration.organs import KNOWN_ORDERS, ORGANS
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path

ORDERS = tuple(KNOWN_ORDERS)
SYNAPSE = find("synapse").card
PATIENTS = range(3)


def test_the_known_orders_are_three_permutations_of_the_eight_organs() -> None:
    assert len(set(KNOWN_ORDERS.values())) == 3
    assert all(set(order) == set(ORGANS) and len(order) == 8 for order in KNOWN_ORDERS.values())


def test_organs_are_recognised_by_their_codes_whatever_they_are_called() -> None:
    renamed = dataclasses.replace(
        SYNAPSE,
        labels=tuple(
            dataclasses.replace(label, name=f"Organ {label.value}") for label in SYNAPSE.labels
        ),
    )
    assert tuple(card_organs(renamed).values()) == KNOWN_ORDERS["TransUNet"]
    known = {organ.name for organ in card_organs(find("demo-ct").card).values()}
    assert known >= {"liver", "spleen", "left kidney", "right kidney", "aorta"}
    assert card_organs(find("acdc").card) == {}


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("card_order", ORDERS)
@pytest.mark.parametrize("true_order", ORDERS)
def test_the_order_the_labels_are_in_is_found(
    true_order: str, card_order: str, patient: int
) -> None:
    abdomen = make_abdomen(KNOWN_ORDERS[true_order], patient=patient)
    card = card_in_order(SYNAPSE, KNOWN_ORDERS[card_order])
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, card)
    assert verdict.order == true_order
    assert verdict.outcome == (PLAUSIBLE if true_order == card_order else ANOTHER_ORDER)
    assert max(verdict.scores, key=verdict.scores.get) == true_order
    assert true_order in verdict.sentence or verdict.outcome == PLAUSIBLE


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_mirrored_patient_is_told_from_another_order(order: str, patient: int) -> None:
    abdomen = make_abdomen(KNOWN_ORDERS[order], patient=patient).mirrored()
    card = card_in_order(SYNAPSE, KNOWN_ORDERS[order])
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, card)
    assert verdict.outcome == MIRRORED and "situs inversus" in verdict.sentence


def test_a_mirrored_patient_in_another_order_is_both() -> None:
    abdomen = make_abdomen(KNOWN_ORDERS["SAMed"]).mirrored()
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
    assert verdict.outcome == MIRRORED and verdict.order == "SAMed"
    assert "SAMed" in verdict.sentence and "mirrored" in verdict.sentence


@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        ((0, 1, 2), (True, False, False)),  # feet first
        ((0, 1, 2), (False, True, True)),  # as DICOM stores an axial scan
        ((0, 1, 2), (True, True, True)),
        ((1, 0, 2), (True, False, True)),  # coronal
        ((2, 0, 1), (False, True, False)),  # sagittal
    ],
)
def test_it_does_not_matter_how_the_volume_is_stored(
    axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    plain = make_abdomen(KNOWN_ORDERS["SLDGroup"], patient=2)
    stored = plain.stored(axes, flips)
    expected = judge_labels(plain.labels, plain.ijk_to_ras, SYNAPSE)
    verdict = judge_labels(stored.labels, stored.ijk_to_ras, SYNAPSE)
    assert (verdict.outcome, verdict.order) == (ANOTHER_ORDER, "SLDGroup")
    assert verdict.scores == pytest.approx(expected.scores, abs=0.11)


def test_kidneys_named_the_wrong_way_round_are_noticed() -> None:
    abdomen = make_abdomen(KNOWN_ORDERS["TransUNet"])
    labels = abdomen.labels.copy()
    labels[abdomen.labels == 3], labels[abdomen.labels == 4] = 4, 3
    verdict = judge_labels(labels, abdomen.ijk_to_ras, SYNAPSE)
    assert verdict.outcome == EXCHANGED
    assert "Left kidney and Right kidney" in verdict.sentence


@pytest.mark.parametrize("span", [(0, 80), (60, 130), (-20, 60)])
def test_a_scan_that_cuts_organs_off_is_still_judged_rightly(span: tuple[float, float]) -> None:
    for order in ORDERS:
        abdomen = make_abdomen(KNOWN_ORDERS[order]).between(*span)
        verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
        assert verdict.order == order


def test_three_organs_are_too_few() -> None:
    missing = ["aorta", "gallbladder", "pancreas", "stomach", "left kidney"]
    abdomen = make_abdomen(KNOWN_ORDERS["TransUNet"], leave_out=missing)
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
    assert verdict.outcome == CANNOT_TELL and verdict.order is None
    assert "3 were found (Right kidney, Liver, Spleen)" in verdict.sentence


def test_no_labels_at_all_are_no_error() -> None:
    verdict = judge_labels(np.zeros((4, 5, 6), np.uint8), np.eye(4), SYNAPSE)
    assert verdict.outcome == CANNOT_TELL and "(none)" in verdict.sentence
    assert judge_labels(np.zeros((4, 5, 6), np.uint8), np.eye(4), make_card()).found == ()


def test_orders_that_differ_only_in_what_was_not_found_are_all_named() -> None:
    # Where only these four are seen, SAMed and SLDGroup mean the same by their labels.
    found = {"spleen", "right kidney", "left kidney", "gallbladder"}
    missing = [organ.name for organ in ORGANS if organ.name not in found]
    abdomen = make_abdomen(KNOWN_ORDERS["SAMed"], leave_out=missing)
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
    assert verdict.outcome == ANOTHER_ORDER and verdict.order is None
    assert "SAMed" in verdict.sentence and "SLDGroup" in verdict.sentence


def test_labels_strewn_about_are_no_organs() -> None:
    random = np.random.default_rng(0)
    labels = np.zeros((40, 50, 60), np.uint8)
    for value in range(1, 9):
        k, j, i = (int(random.integers(0, size - 12)) for size in labels.shape)
        labels[k : k + 12, j : j + 12, i : i + 12] = value
    verdict = judge_labels(labels, np.diag([6.0, 6.0, 6.0, 1.0]), SYNAPSE)
    assert verdict.outcome == IMPLAUSIBLE and verdict.order is None


def test_false_alarms_far_away_do_not_move_an_organ() -> None:
    abdomen = make_abdomen(KNOWN_ORDERS["TransUNet"])
    clean = found_organs(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
    labels = abdomen.labels.copy()
    labels[:2, :2, :2] = 7  # a splinter of spleen in a corner
    assert found_organs(labels, abdomen.ijk_to_ras, SYNAPSE) == clean
    assert labels[0, 0, 0] == 7, "the caller's labels must stay as they are"


@pytest.mark.parametrize("order", ORDERS)
def test_the_reference_masks_of_the_sample_tell_every_order(order: str) -> None:
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    stored = read_labels(resource_path("samples", "ct-abdomen-reference.nii.gz"), volume)
    meanings = json.loads(resource_path("samples", "ct-abdomen-reference.json").read_text())
    labels = np.zeros(stored.shape, np.uint8)
    for value, meaning in meanings["labels"].items():
        for number, organ in enumerate(KNOWN_ORDERS[order], start=1):
            if (meaning["type"], meaning.get("modifier")) == (organ.code, organ.side):
                labels[stored == int(value)] = number
    verdict = judge_labels(labels, volume.ijk_to_ras, SYNAPSE)
    assert verdict.order == order
    flipped = volume.ijk_to_ras.copy()
    flipped[0] *= -1
    assert judge_labels(labels, flipped, SYNAPSE).outcome == MIRRORED
