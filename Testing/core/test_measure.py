"""The table at the end: volumes in millilitres and agreement with a reference."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from phantom import GEOMETRIES, make_card, make_volume

from GDLACore.errors import VolumeError
from GDLACore.imaging.measure import Reference, structure_table
from GDLACore.imaging.reading import read_labels
from GDLACore.imaging.reference import matching_values, read_reference
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path

SHAPE = (6, 7, 8)


@pytest.fixture
def labels() -> np.ndarray:
    """Liver 2 x 2 x 2 voxels in slices 1 and 2, spleen one voxel in slice 4, no aorta."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 2:4, 3:5] = 1
    labels[4, 5, 6] = 2
    return labels


def _same_values(labels: np.ndarray) -> Reference:
    return Reference(labels, {1: (1,), 2: (2,), 3: (3,)})


def test_a_structure_has_its_voxels_millilitres_and_slices(labels):
    liver, spleen, aorta = structure_table(labels, make_volume(np.eye(3)), make_card())
    assert (liver.name, liver.value, liver.voxels, liver.slices) == ("liver", 1, 8, 2)
    assert liver.millilitres == pytest.approx(8 * 0.75 * 1.5 * 4.0 / 1000)
    assert (spleen.voxels, spleen.slices, spleen.dice) == (1, 1, None)
    assert (aorta.voxels, aorta.millilitres, aorta.slices, aorta.dice) == (0, 0.0, 0, None)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_millilitres_are_positive_and_the_same_however_the_patient_is_stored(labels, geometry):
    table = structure_table(labels, make_volume(GEOMETRIES[geometry]), make_card())
    assert table[0].millilitres == pytest.approx(0.036)


def test_slices_are_counted_across_the_slice_axis_of_the_model(labels):
    volume = make_volume(GEOMETRIES["coronal storage"])  # the patient's S runs along j
    assert structure_table(labels[:, :, :], volume, make_card())[0].slices == 2
    labels[1:3, 2:6, 3:5] = 1
    assert structure_table(labels, volume, make_card())[0].slices == 4


def test_dice_is_one_for_equal_zero_for_disjoint_and_none_for_absent_in_both(labels):
    volume, card = make_volume(np.eye(3)), make_card()
    reference = labels.copy()
    reference[reference == 2] = 0
    reference[0, 0, 0] = 2
    dice = [row.dice for row in structure_table(labels, volume, card, _same_values(reference))]
    assert dice == [1.0, 0.0, None]


def test_dice_counts_a_structure_that_only_one_side_has_as_zero(labels):
    volume, card = make_volume(np.eye(3)), make_card()
    empty = _same_values(np.zeros_like(labels))
    assert [row.dice for row in structure_table(labels, volume, card, empty)] == [0.0, 0.0, None]
    nothing = np.zeros_like(labels)
    dice = [row.dice for row in structure_table(nothing, volume, card, _same_values(labels))]
    assert dice == [0.0, 0.0, None]


def test_dice_follows_its_definition(labels):
    reference = np.zeros_like(labels)
    reference[1:3, 2:4, 4:7] = 1  # 12 voxels, 4 of them in common with 8
    row = structure_table(labels, make_volume(np.eye(3)), make_card(), _same_values(reference))[0]
    assert row.dice == pytest.approx(2 * 4 / (8 + 12))


def test_several_reference_values_make_up_one_structure(labels):
    reference = np.where(labels == 1, 40, 0).astype(np.uint8)
    reference[2][reference[2] == 40] = 41
    table = structure_table(
        labels, make_volume(np.eye(3)), make_card(), Reference(reference, {1: (40, 41, 250)})
    )
    assert [row.dice for row in table] == [1.0, None, None]


def test_a_range_of_slices_is_judged_by_itself(labels):
    reference = labels.copy()
    reference[3] = 1  # outside the range
    rows = structure_table(
        labels, make_volume(np.eye(3)), make_card(), _same_values(reference), range(2, 3)
    )
    assert (rows[0].voxels, rows[0].slices, rows[0].dice) == (4, 1, 1.0)
    assert (rows[1].voxels, rows[1].dice) == (0, None)


MEANINGS = {
    1: {"name": "Milz", "type": "78961009"},
    5: {"name": "liver", "type": "10200004"},
    6: {"name": "left kidney", "type": "64033007", "modifier": "7771000"},
    7: {"name": "right kidney", "type": "64033007", "modifier": "24028007"},
    8: {"name": "STOMACH"},
    9: {"name": "pancreas", "type": "1"},
    32: {"name": "vertebra", "type": "2", "within": ["15825003"]},
    33: {"name": "vertebra", "type": "3", "within": ["15825003"]},
}


def test_reference_values_are_matched_by_code_modifier_membership_and_name():
    card = find("synapse").card
    values = {card.labels[v - 1].name: r for v, r in matching_values(MEANINGS, card).items()}
    assert values == {
        "Spleen": (1,),
        "Liver": (5,),
        "Left kidney": (6,),
        "Right kidney": (7,),
        "Stomach": (8,),
        "Aorta": (32, 33),
    }


def _write(path, labels, volume) -> None:
    image = sitk.GetImageFromArray(labels)
    origin, spacing, direction = sitk_geometry(volume.ijk_to_ras)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def test_a_reference_is_read_with_its_json_file(tmp_path, labels):
    volume = make_volume(np.eye(3))
    _write(tmp_path / "mask.v2.nii.gz", np.where(labels == 1, 5, 0).astype(np.uint8), volume)
    (tmp_path / "mask.v2.json").write_text(json.dumps({"labels": MEANINGS}))
    reference = read_reference(tmp_path / "mask.v2.nii.gz", volume, make_card())
    table = structure_table(labels, volume, make_card(), reference)
    assert [row.dice for row in table] == [1.0, 0.0, None]


def test_a_reference_without_a_json_file_has_the_values_of_the_model(tmp_path, labels):
    volume = make_volume(np.eye(3))
    _write(tmp_path / "mask.nrrd", labels, volume)
    reference = read_reference(tmp_path / "mask.nrrd", volume, make_card())
    assert structure_table(labels, volume, make_card(), reference)[0].dice == 1.0


def test_a_slicer_segmentation_is_matched_by_what_its_segments_mean(tmp_path, labels):
    volume = make_volume(np.eye(3))
    other = make_card(("aorta", "spleen", "liver"))
    swapped = np.choose(labels, (0, 3, 2, 1)).astype(np.uint8)
    path = write_segmentation(tmp_path / "mask.seg.nrrd", swapped, volume, other)
    reference = read_reference(path, volume, make_card())
    table = structure_table(labels, volume, make_card(), reference)
    assert [row.dice for row in table] == [1.0, 1.0, None]


def test_left_and_right_in_a_slicer_segmentation_stay_apart(tmp_path):
    card = find("synapse").card
    path = write_segmentation(
        tmp_path / "mask.seg.nrrd", np.zeros(SHAPE, np.uint8), make_volume(np.eye(3)), card
    )
    reference = read_reference(path, make_volume(np.eye(3)), card)
    assert reference.values == {value: (value,) for value in range(1, 9)}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": {"x": {"name": "liver"}}}'])
def test_a_damaged_json_file_is_named(tmp_path, labels, text):
    volume = make_volume(np.eye(3))
    _write(tmp_path / "mask.nrrd", labels, volume)
    (tmp_path / "mask.json").write_text(text)
    with pytest.raises(VolumeError, match=r"mask\.json"):
        read_reference(tmp_path / "mask.nrrd", volume, make_card())


def test_a_reference_of_other_structures_is_refused(tmp_path, labels):
    volume = make_volume(np.eye(3))
    _write(tmp_path / "mask.nrrd", labels, volume)
    (tmp_path / "mask.json").write_text('{"labels": {"1": {"name": "heart"}}}')
    with pytest.raises(VolumeError, match="none of the structures"):
        read_reference(tmp_path / "mask.nrrd", volume, make_card())


def test_negative_labels_are_refused(tmp_path, labels):
    volume = make_volume(np.eye(3))
    _write(tmp_path / "mask.nrrd", labels.astype(np.int16) - 1, volume)
    with pytest.raises(VolumeError, match="negative"):
        read_reference(tmp_path / "mask.nrrd", volume, make_card())


def test_the_reference_of_the_sample_knows_the_organs_of_the_abdomen(tmp_path):
    meanings = json.loads(resource_path("samples", "ct-abdomen-reference.json").read_text())
    known = {int(value): meaning for value, meaning in meanings["labels"].items()}
    values = matching_values(known, find("synapse").card)
    assert values[5] == (5,)  # liver
    assert values[1] == (52,)  # aorta


def test_labels_written_and_read_back_agree_with_themselves(tmp_path, labels):
    volume = make_volume(GEOMETRIES["left-handed oblique"])
    path = write_segmentation(tmp_path / "mask.nii.gz", labels, volume, make_card())
    np.testing.assert_array_equal(read_labels(path, volume), labels)
