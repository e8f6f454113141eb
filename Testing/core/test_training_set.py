"""Cases come into a training set whole, in their place and without a word about the patient."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from phantom import GEOMETRIES, make_card, make_labels, make_volume

from GDLACore.errors import Cancelled, OutputError, TrainingError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.training_set import add_case, case_folders, read_training_set
from GDLACore.training_set.pseudonym import patient_identity, pseudonym, read_secret
from GDLACore.training_set.reviewed import labelled_slices

CARD = make_card()
PATIENT = "0123456789abcdef"
SHEARED = np.array([[1.02, -0.17, 0.05], [0.17, 1.01, -0.12], [-0.03, 0.13, 0.99]])


def volume_of(dtype="int16", axes=GEOMETRIES["axial"], channels=()):
    volume = make_volume(axes)
    values = np.random.default_rng(3).normal(0, 700, (*volume.shape, *channels))
    return dataclasses.replace(volume, array=values.astype(dtype), name="Doe^Jane CT 2024-05-06")


def add(folder, volume=None, labels=None, structures=CARD.labels, **changes):
    settings = {"patient": PATIENT, "axis": 0, "reviewed": ((1, 4),)} | changes
    volume = volume or volume_of()
    labels = make_labels() if labels is None else labels
    return add_case(folder, volume, labels, structures, CARD, **settings)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("geometry", [*GEOMETRIES, "sheared"])
def test_image_and_labels_come_back_voxel_by_voxel_in_their_place(tmp_path, geometry):
    axes = SHEARED if geometry == "sheared" else GEOMETRIES[geometry]
    volume = volume_of(axes=axes)
    case = add(tmp_path, volume)
    image = read_volume(case.image)
    np.testing.assert_array_equal(image.array, volume.array)
    np.testing.assert_allclose(image.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)
    np.testing.assert_array_equal(read_labels(case.segmentation, image), make_labels())


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int32", "uint32", "float32", "float64", ">i2", "bool"]
)
def test_gray_values_of_any_type_are_raw(tmp_path, dtype):
    volume = volume_of(dtype)
    np.testing.assert_array_equal(read_volume(add(tmp_path, volume).image).array, volume.array)


def test_colors_are_raw(tmp_path):
    volume = volume_of("uint8", channels=(3,))
    np.testing.assert_array_equal(read_volume(add(tmp_path, volume).image).array, volume.array)


def test_what_is_known_of_a_case_comes_back(tmp_path):
    first = add(tmp_path, axis=2, reviewed=((0, 2), (5, 8)))
    second = add(tmp_path, patient="f" * 16, reviewed=None)
    assert set(read_training_set(tmp_path)) == {first, second}
    assert (first.patient, first.axis, first.reviewed) == (PATIENT, 2, ((0, 2), (5, 8)))
    assert first.model == "abdomen:1.2" and second.reviewed is None
    assert first.id != second.id and first.id == first.image.parent.name


def test_a_structure_that_nobody_looked_for_is_not_in_the_file_and_an_empty_one_is(tmp_path):
    liver, _, aorta = CARD.labels
    labels = np.where(make_labels() == 1, 1, 0)
    case = add(tmp_path, labels=labels, structures=(liver, aorta))
    image = SimpleITK.ReadImage(str(case.segmentation))
    names = [image.GetMetaData(f"Segment{n}_Name") for n in range(2)]
    values = [image.GetMetaData(f"Segment{n}_LabelValue") for n in range(2)]
    assert (names, values) == (["liver", "aorta"], ["1", "3"])
    assert not image.HasMetaDataKey("Segment2_Name")
    assert aorta.terminology.serialized() in image.GetMetaData("Segment1_Tags")


def test_nothing_is_written_that_leads_to_the_patient(tmp_path):
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    secret = read_secret(tmp_path / "secret")
    volume = dataclasses.replace(volume_of(), modality="CT")
    case = add(
        folder, volume, patient=pseudonym(secret, patient_identity("4711-PID", volume.array))
    )
    written = b"".join(path.read_bytes() for path in case.image.parent.iterdir())
    headers = {path.name: path.read_bytes().partition(b"\n\n")[0] for path in (case.image,)}
    for word in (b"Doe", b"Jane", b"2024", b"4711", b"phantom", str(tmp_path).encode(), b"20"):
        assert word not in headers["image.nrrd"]
        if len(word) > 3:
            assert word not in written
    assert secret not in written and secret.hex().encode() not in written
    assert {line.partition(b":")[0] for line in headers["image.nrrd"].splitlines()[1:]} == {
        *(b"type", b"dimension", b"space", b"sizes", b"space directions", b"kinds", b"endian"),
        *(b"encoding", b"space origin"),
    }
    description = json.loads((case.image.parent / "case.json").read_text())
    assert set(description) == {"version", "patient", "model", "axis", "reviewed"}


def test_packed_voxels_carry_neither_a_time_nor_a_name(tmp_path):
    first, second = add(tmp_path), add(tmp_path)
    assert first.image.read_bytes() == second.image.read_bytes()
    packed = first.image.read_bytes().partition(b"\n\n")[2]
    assert packed[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + packed[8:10]  # no flags, no time


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


# Reviewed slices


@pytest.mark.parametrize(
    ("slices", "expected"),
    [([], ()), ([0], ((0, 1),)), ([1, 2, 5], ((1, 3), (5, 6))), (range(6), ((0, 6),))],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_with_a_label_are_found(axis, slices, expected):
    labels = np.zeros((6, 6, 6), np.uint8)
    np.moveaxis(labels, axis, 0)[list(slices), 3, 4] = 2
    assert labelled_slices(labels, axis) == expected


@pytest.mark.parametrize("reviewed", [(), ((2, 2),), ((0, 3), (2, 4)), ((0, 7),), ((-1, 2),)])
def test_ranges_that_are_none_are_refused(tmp_path, reviewed):
    with pytest.raises(ValueError, match="ranges"):
        add(tmp_path, reviewed=reviewed)
    assert names_in(tmp_path) == []


# Faults of writing


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere of the training set does not exist") as refused:
        add(tmp_path / "nowhere")
    assert refused.value.hint


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_named():
    with pytest.raises(OutputError, match="^/proc cannot be written: "):
        add("/proc")


def test_who_stops_leaves_nothing(tmp_path):
    def stop(done, total):
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        add(tmp_path, on_progress=stop)
    assert names_in(tmp_path) == []


def test_progress_ends_with_all_that_is_written(tmp_path):
    volume, heard = volume_of(), []
    add(tmp_path, volume, on_progress=lambda *now: heard.append(now))
    total = volume.array.nbytes + make_labels().nbytes
    assert heard == [(volume.array.nbytes, total), (total, total)]


_ADD = """
import os, signal, sys
sys.path[:0] = [sys.argv[1]]
import numpy as np
from phantom import make_card, make_volume
from GDLACore.errors import OutputError
from GDLACore.training_set import add_case
volume = make_volume(np.eye(3), (9, 40, 40))
labels = np.ones((9, 40, 40), np.uint8)
if len(sys.argv) > 3:
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
    on_progress = lambda done, total: None
else:
    on_progress = lambda done, total: done == total and os.kill(os.getpid(), signal.SIGKILL)
card = make_card()
try:
    add_case(sys.argv[2], volume, labels, card.labels, card, patient="0" * 16, axis=0,
             reviewed=None, on_progress=on_progress)
except OutputError as error:
    print(error)
"""


def add_in_a_process(folder, *limit):
    command = [sys.executable, "-c", _ADD, str(Path(__file__).parent), str(folder), *limit]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=root)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_writer_that_is_killed_leaves_no_case_and_the_next_one_clears_up(tmp_path):
    killed = add_in_a_process(tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = names_in(tmp_path)
    with pytest.raises(TrainingError, match="holds no case"):
        read_training_set(tmp_path)
    case = add(tmp_path)
    assert names_in(tmp_path) == [case.id] and left != case.id


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_without_room_is_told_in_one_sentence_and_nothing_is_left(tmp_path):
    told = add_in_a_process(tmp_path, "200")
    assert told.stdout.startswith(f"{tmp_path} cannot be written: "), told.stderr
    assert names_in(tmp_path) == []


def test_two_writers_at_once_lose_no_case(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        added = set(pool.map(lambda _: add(tmp_path), range(8)))
    assert set(read_training_set(tmp_path)) == added and len(added) == 8
    assert len(names_in(tmp_path)) == 8


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_others_may_read_a_case_if_they_may_read_the_users_files(tmp_path):
    mask = os.umask(0o022)
    try:
        case = add(tmp_path)
    finally:
        os.umask(mask)
    assert case.image.parent.stat().st_mode & 0o777 == 0o755
    assert case.image.stat().st_mode & 0o777 == 0o644


# Faults of reading


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


def test_labels_of_another_grid_are_a_mistake_of_the_caller(tmp_path):
    volume = Volume(np.zeros((6, 7, 9), np.int16), np.eye(4), "other")
    with pytest.raises(ValueError, match="grid"):
        add(tmp_path, volume)
