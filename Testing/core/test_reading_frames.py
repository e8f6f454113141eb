from __future__ import annotations

import numpy as np
import pytest
from image_files import four, grey, refusal, write

from GDLACore.imaging.reading import read_volume


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_4d_file_says_which_frames_there_are(tmp_path, suffix):
    error = refusal(four(tmp_path / f"a{suffix}")[0])
    assert "3 volumes" in error.message
    assert "--frame" in error.hint and "0 to 2" in error.hint


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_one_frame_of_a_4d_file_can_be_chosen(tmp_path, suffix):
    path, array = four(tmp_path / f"a{suffix}")
    for frame in range(3):
        np.testing.assert_array_equal(read_volume(path, frame=frame).array, array[frame])


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_is_not_there_is_refused(tmp_path, frame):
    assert "0 to 2" in refusal(four(tmp_path / "a.nii")[0], frame=frame).message


def test_a_4d_file_of_one_frame_is_a_volume(tmp_path):
    path = write(tmp_path / "a.nrrd", grey()[None])
    np.testing.assert_array_equal(read_volume(path).array, grey())
    np.testing.assert_array_equal(read_volume(path, frame=0).array, grey())


def test_a_3d_file_has_no_second_frame(tmp_path):
    path = write(tmp_path / "a.nrrd", grey())
    assert "only one frame" in refusal(path, frame=1).message
    assert read_volume(path, frame=0).shape == (5, 6, 7)


def test_a_sequence_stored_as_components_has_frames(tmp_path):
    array = np.stack([grey() + t for t in range(7)], axis=-1)
    path = write(tmp_path / "a.nrrd", array, vector=True)
    assert "7 volumes" in refusal(path).message
    np.testing.assert_array_equal(read_volume(path, frame=6).array, grey() + 6)


def test_five_dimensions_are_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 5\nsizes: 4 4 4 2 2\n"
        b"kinds: domain domain domain domain domain\nencoding: raw\n\n" + bytes(256)
    )
    refusal(path)


def test_two_channels_are_refused_and_one_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.mha", np.stack([grey(), grey() + 1], axis=-1), vector=True)
    error = refusal(path)
    assert "2 channels" in error.message and "3-channel" in error.message
    np.testing.assert_array_equal(read_volume(path, frame=1).array, grey() + 1)
