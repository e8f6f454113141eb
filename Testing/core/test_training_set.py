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
from phantom import GEOMETRIES, make_labels
from test_loaded_packages import ONLY_NUMPY, output
from training_cases import CARD, PATIENT, add, names_in, volume_of

from GDLACore.errors import Cancelled, OutputError, TrainingError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.training_set import read_training_set
from GDLACore.training_set.pseudonym import patient_identity, pseudonym, read_secret
from GDLACore.training_set.reviewed import labelled_slices, slice_ranges

SHEARED = np.array([[1.02, -0.17, 0.05], [0.17, 1.01, -0.12], [-0.03, 0.13, 0.99]])


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
    (tmp_path / "secret").write_bytes(bytes(range(32)))  # by chance, one can spell a number below
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


def test_slicer_needs_nothing_but_numpy_to_write_and_list_cases(tmp_path):
    program = f"""{ONLY_NUMPY}
import numpy as np
from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find
from GDLACore.training_set import add_case, read_training_set
card, volume = find("demo-ct").card, Volume(np.zeros((2, 3, 4)), np.eye(4), "")
labels = np.ones((2, 3, 4), np.uint8)
add_case(sys.argv[1], volume, labels, card.labels, card, patient="0" * 16, axis=0, reviewed=None)
print(len(read_training_set(sys.argv[1])))
"""
    assert output(program, tmp_path).split() == ["1"]


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


def test_labels_of_another_grid_are_a_mistake_of_the_caller(tmp_path):
    volume = Volume(np.zeros((6, 7, 9), np.int16), np.eye(4), "other")
    with pytest.raises(ValueError, match="grid"):
        add(tmp_path, volume)


def test_slices_in_any_order_become_ranges_that_do_not_touch() -> None:
    assert slice_ranges([]) == ()
    assert slice_ranges({7}) == ((7, 8),)
    assert slice_ranges([9, 2, 3, 4, 8, 0]) == ((0, 1), (2, 5), (8, 10))
