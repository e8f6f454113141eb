"""A training set is read whole or refused with the file that is wrong; patients are pseudonyms."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from training_cases import add, volume_of

from GDLACore.errors import OutputError, TrainingError
from GDLACore.training_set import case_folders, read_training_set
from GDLACore.training_set.pseudonym import patient_identity, pseudonym, read_secret


def broken(case, **changes):
    path = case.image.parent / "case.json"
    description = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in description.items() if v != "gone"}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patient": "Jane Doe"}, "patient must be 16 hexadecimal digits"),
        ({"patient": "gone"}, "patient is missing"),
        ({"axis": 3}, "axis must be a whole number from 0 to 2"),
        ({"reviewed": []}, "reviewed must list ranges"),
        ({"reviewed": [[4, 2]]}, "reviewed must list ranges"),
        ({"reviewed": [[0, 3], [2, 5]]}, "reviewed must list ranges"),
        ({"reviewed": [[0, 1.5]]}, "reviewed must be a list of pairs"),
        ({"reviewed": "all"}, "reviewed must be a list of pairs"),
        ({"name": "Jane"}, "name is not a known field"),
        ({"version": 2}, "written by a newer GDLASegmenter"),
    ],
)
def test_a_description_that_breaks_a_rule_is_refused_with_its_path(tmp_path, changes, told):
    case = add(tmp_path)
    broken(case, **changes)
    with pytest.raises(TrainingError, match=told) as refused:
        read_training_set(tmp_path)
    assert f"{case.id}/case.json" in refused.value.message and refused.value.hint


@pytest.mark.parametrize("file", ["image.nrrd", "segmentation.seg.nrrd", "case.json"])
def test_a_case_that_lacks_a_file_is_refused_with_its_path(tmp_path, file):
    case = add(tmp_path)
    (case.image.parent / file).unlink()
    with pytest.raises(TrainingError, match=file):
        read_training_set(tmp_path)


def test_a_description_that_is_no_json_is_refused(tmp_path):
    case = add(tmp_path)
    (case.image.parent / "case.json").write_bytes(b'{"version": 1, \xff')
    with pytest.raises(TrainingError, match="is not valid JSON"):
        read_training_set(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_folder_without_cases_is_refused(tmp_path, kind):
    folder = tmp_path / "set"
    if kind == "file":
        folder.touch()
    elif kind == "empty":
        folder.mkdir()
        (folder / "image.nrrd").touch()  # nobody has segmented it
    with pytest.raises(TrainingError, match="set"):
        read_training_set(folder)


# Pairs of files


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii", ".mha", ".NRRD"])
def test_pairs_of_files_are_cases_of_patients_of_their_own(tmp_path, suffix):
    for name in ("b.1", "a"):
        (tmp_path / f"{name}.seg.nrrd").touch()
        (tmp_path / f"{name}{suffix}").touch()
    (tmp_path / "not segmented yet.nrrd").touch()
    cases = read_training_set(tmp_path)
    assert [(case.id, case.patient) for case in cases] == [("a", "a"), ("b.1", "b.1")]
    assert {(case.model, case.reviewed) for case in cases} == {(None, None)}
    assert [case.image.name for case in cases] == [f"a{suffix}", f"b.1{suffix}"]


def test_pairs_and_added_cases_can_be_in_one_folder(tmp_path):
    added = add(tmp_path)
    for name in ("a.seg.nrrd", "a.nrrd"):
        (tmp_path / name).touch()
    assert [case.id for case in read_training_set(tmp_path)] == [added.id, "a"]
    assert case_folders(tmp_path) == [added.image.parent]


@pytest.mark.parametrize(
    ("files", "told"),
    [(["a.seg.nrrd"], "no image beside it"), (["a.seg.nrrd", "a.nii", "a.mha"], "could both be")],
)
def test_a_segmentation_without_its_one_image_is_refused(tmp_path, files, told):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(TrainingError, match=told):
        read_training_set(tmp_path)


# Pseudonyms


def test_a_patient_has_one_pseudonym_and_another_patient_another(tmp_path):
    secret, voxels = read_secret(tmp_path / "settings" / "secret"), volume_of().array
    again = read_secret(tmp_path / "settings" / "secret")
    names = [
        pseudonym(one, patient_identity(patient_id, voxels))
        for one, patient_id in ((secret, "7"), (again, " 7 "), (secret, "8"))
    ]
    assert names[0] == names[1] != names[2]
    other = pseudonym(read_secret(tmp_path / "colleague"), patient_identity("7", voxels))
    assert other not in names


def test_without_a_patient_every_image_is_one_of_its_own_but_the_same_image_the_same():
    first, second = volume_of().array, volume_of().array + np.int16(1)
    assert patient_identity("", first) == patient_identity("  ", first.copy())
    assert patient_identity("", first) != patient_identity("", second)
    assert patient_identity("", first) != patient_identity("", first.reshape(7, 6, 8))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_the_secret_is_for_the_users_eyes_only(tmp_path):
    read_secret(tmp_path / "secret")
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_a_damaged_secret_is_not_replaced(tmp_path):
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(OutputError, match="damaged"):
        read_secret(tmp_path / "secret")
    assert (tmp_path / "secret").read_bytes() == b"short"
