from __future__ import annotations

import gc

import numpy as np
import pytest
import SimpleITK
from image_files import MATRIX, VOLUME_SUFFIXES, bmp, colours, grey, png, write

from GDLACore.imaging.reading import read_volume


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_every_volume_format_keeps_voxels_and_places(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"scan{suffix}", grey()))
    np.testing.assert_array_equal(scan.array, grey())
    np.testing.assert_allclose(scan.ijk_to_ras, MATRIX, atol=1e-5)
    assert scan.array.dtype == np.int16
    assert scan.name == "scan"
    assert scan.modality is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64, np.int64])
def test_the_stored_type_is_kept(tmp_path, dtype):
    assert read_volume(write(tmp_path / "a.nrrd", grey(dtype))).array.dtype == dtype


def test_padding_of_a_32_bit_ct_is_kept(tmp_path):
    array = grey(np.int32)
    array[0, 0] = -3024
    assert read_volume(write(tmp_path / "a.nii.gz", array)).array.min() == -3024


def test_a_name_may_hold_spaces_accents_and_dots(tmp_path):
    path = write(tmp_path / "Bauch späte Phase 1.5.nii.gz", grey())
    assert read_volume(str(path)).name == "Bauch späte Phase 1.5"


def test_the_voxels_outlive_the_image_they_were_read_with(tmp_path):
    array = read_volume(write(tmp_path / "a.nrrd", grey())).array
    gc.collect()
    SimpleITK.Image([7, 6, 5], SimpleITK.sitkInt16)
    np.testing.assert_array_equal(array, grey())
    assert not array.flags.writeable


def test_left_handed_axes_stay_left_handed(tmp_path):
    matrix = MATRIX @ np.diag([1, 1, -1, 1])
    scan = read_volume(write(tmp_path / "a.nrrd", grey(), matrix))
    assert np.linalg.det(scan.ijk_to_ras[:3, :3]) < 0


def test_a_file_without_spacing_has_voxels_of_one_millimetre(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nencoding: raw\nendian: little\n\n"
        + grey().tobytes()
    )
    assert read_volume(path).spacing == (1.0, 1.0, 1.0)


def test_one_slice_and_three_slices_are_volumes(tmp_path):
    for count in (1, 3):
        assert read_volume(write(tmp_path / "a.nii.gz", grey()[:count])).shape == (count, 6, 7)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_colour_picture_is_one_slice_of_three_channels(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"skin{suffix}", colours(), vector=True))
    np.testing.assert_array_equal(scan.array, colours()[None])
    assert scan.array.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_grey_picture_has_one_channel(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"us{suffix}", np.full((6, 7), 90, np.uint8)))
    assert scan.array.shape == (1, 6, 7)
    assert abs(int(scan.array[0, 3, 3]) - 90) <= 1


def test_a_16_bit_grey_picture_keeps_its_values(tmp_path):
    array = grey(np.uint16)[0] * 60
    np.testing.assert_array_equal(read_volume(write(tmp_path / "a.png", array)).array[0], array)


def test_a_jpeg_is_read_in_colour(tmp_path):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    array = read_volume(write(tmp_path / "a.jpg", red, vector=True)).array
    assert np.abs(array.astype(int) - red).max() < 6


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_colour_volume_has_its_channels_last(tmp_path, suffix):
    array = np.stack([grey(np.uint8)] * 3, axis=-1) + np.arange(3, dtype=np.uint8)
    scan = read_volume(write(tmp_path / f"a{suffix}", array, vector=True))
    np.testing.assert_array_equal(scan.array, array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_transparency_is_dropped_with_a_warning(tmp_path, suffix, caplog):
    array = np.dstack([colours(), np.full((6, 7), 128, np.uint8)])
    scan = read_volume(write(tmp_path / f"a{suffix}", array, vector=True))
    np.testing.assert_array_equal(scan.array[0], colours())
    assert "transparency" in caplog.text


def test_a_png_palette_becomes_colours(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colour_table = np.array([[10, 20, 30], [200, 0, 90], [7, 8, 9]], np.uint8)
    scan = read_volume(png(tmp_path / "a.png", 3, indices, colour_table.tobytes()))
    np.testing.assert_array_equal(scan.array[0], colour_table[indices])


def test_a_bitmap_with_a_grey_palette_is_grey(tmp_path):
    indices = colours()[..., 0]
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    scan = read_volume(bmp(tmp_path / "a.bmp", indices, table))
    np.testing.assert_array_equal(scan.array, indices[None])


def test_a_bitmap_palette_becomes_colours(tmp_path):
    table = np.array([[10, 20, 30], [200, 0, 90]], np.uint8)
    indices = (colours()[..., 0] > 128).astype(np.uint8)
    scan = read_volume(bmp(tmp_path / "a.bmp", indices, table))
    np.testing.assert_array_equal(scan.array[0], table[indices])


def test_a_picture_with_the_wrong_suffix_is_read_by_its_content(tmp_path):
    path = write(tmp_path / "a.png", colours(), vector=True).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_volume(path).array[0], colours())


def test_pages_of_a_tiff_are_slices_and_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.tif", grey(np.uint8))
    np.testing.assert_array_equal(read_volume(path).array, grey(np.uint8))
    np.testing.assert_array_equal(read_volume(path, frame=2).array, grey(np.uint8)[2:3])
