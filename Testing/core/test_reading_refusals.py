from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import VOLUME_SUFFIXES, cut, grey, nrrd_with_directions, png, refusal, write

from GDLACore.imaging.reading import read_volume


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    assert "no file or folder" in refusal(tmp_path / "scan.nii.gz").message


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "a.nrrd", grey())
    monkeypatch.setattr("GDLACore.imaging.reading.is_dicom", denied)  # root may read everything
    assert "Permission denied" in refusal(path).message


def test_a_name_longer_than_the_system_allows_is_refused(tmp_path):
    refusal(tmp_path / ("a" * 300 + ".nrrd"))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.png", "a.dcm", "a"])
def test_an_empty_file_is_said_to_be_empty(tmp_path, name):
    (tmp_path / name).touch()
    assert "empty" in refusal(tmp_path / name).message


@pytest.mark.parametrize("suffix", [*VOLUME_SUFFIXES, ".png", ".jpg", ".txt", ".dcm", ""])
def test_text_is_not_an_image(tmp_path, suffix):
    path = tmp_path / f"notes{suffix}"
    path.write_text("Patient is doing well.\n" * 50)
    assert "not an image" in refusal(path).message


@pytest.mark.parametrize("share", [0.4, 0.9])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_volume_is_said_to_be_damaged(tmp_path, suffix, share):
    array = np.random.default_rng(0).integers(0, 30000, size=(12, 30, 30)).astype(np.int16)
    path = cut(write(tmp_path / f"a{suffix}", array), share)
    assert "damaged" in refusal(path).message


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_a_gzip_file_without_its_last_bytes_is_said_to_be_damaged(tmp_path, missing):
    path = write(tmp_path / "a.nii.gz", grey())
    path.write_bytes(path.read_bytes()[:-missing])
    assert "damaged" in refusal(path).message


def test_a_gzip_file_of_several_members_is_complete(tmp_path):
    import gzip

    data = gzip.decompress(write(tmp_path / "a.nii.gz", grey()).read_bytes())
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(data[:400]) + gzip.compress(data[400:]) + gzip.compress(b""))
    np.testing.assert_array_equal(read_volume(path).array, grey())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_a_truncated_picture_is_said_to_be_damaged(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, size=(60, 70, 3)).astype(np.uint8)
    path = cut(write(tmp_path / f"a{suffix}", noise, vector=True), 0.6)
    assert "damaged" in refusal(path).message


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_header_without_its_data_file_says_what_is_missing(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", grey())
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    assert "data file" in refusal(path).hint


@pytest.mark.parametrize("last", ["(0,1,0)", "(0,0,0)"])
def test_a_singular_geometry_is_refused(tmp_path, last):
    path = nrrd_with_directions(tmp_path / "a.nrrd", f"(1,0,0) (0,1,0) {last}")
    assert "singular" in refusal(path).message


def test_a_sheared_nrrd_keeps_its_shear(tmp_path):
    path = nrrd_with_directions(tmp_path / "a.nrrd", "(1,0,0) (0,1,0) (0.3,0.2,2)")
    np.testing.assert_allclose(read_volume(path).ijk_to_ras[:3, 2], [-0.3, -0.2, 2])


def test_a_sheared_nifti_is_refused_with_a_way_out(tmp_path):
    path = write(tmp_path / "a.nii", grey())
    data = bytearray(path.read_bytes())
    struct.pack_into("<hh", data, 252, 0, 1)  # no qform, scanner sform
    struct.pack_into("<12f", data, 280, 1, 0.4, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(data)
    error = refusal(path)
    assert "sheared" in error.message and "NRRD" in error.hint


def test_complex_numbers_are_refused(tmp_path):
    path = write(tmp_path / "a.nii", grey(np.complex64))
    assert "complex" in refusal(path).message


def test_a_grey_png_with_transparency_is_refused_in_words(tmp_path):
    rows = np.zeros((4, 5, 2), np.uint8)
    assert "transparency" in refusal(png(tmp_path / "a.png", 4, rows)).message


def test_a_series_cannot_be_chosen_in_one_file(tmp_path):
    path = write(tmp_path / "a.nrrd", grey())
    assert "series" in refusal(path, series="2").message


@pytest.mark.slow
def test_an_image_above_two_gigabytes_is_read_to_its_last_voxel(tmp_path):
    path = tmp_path / "large.nrrd"
    size = 1300**3  # above 2**31 voxels and bytes
    header = (
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1300 1300 1300\nencoding: raw\n"
        b"endian: little\n\n"
    )
    with path.open("wb") as file:  # a hole in the file, not 2 GB of disk
        file.write(header)
        file.seek(len(header) + size - 1)
        file.write(b"\x07")
    array = read_volume(path).array
    assert array.shape == (1300, 1300, 1300)
    assert array[-1, -1, -1] == 7
