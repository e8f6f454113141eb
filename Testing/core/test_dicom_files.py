from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dataset, enhanced, placed, refusal, save, values
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from GDLACore.imaging.reading import read_labels, read_volume


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_uncompressed_transfer_syntax_is_read(tmp_path, syntax):
    image = placed(dataset(values()[0], syntax), np.array([1, 2, 3]))
    scan = read_volume(save(image, tmp_path / "slice"))
    np.testing.assert_array_equal(scan.array[0], values()[0].astype(int) - 1024)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 3], [-1, -2, 3])
    assert scan.spacing == (0.75, 0.5, 2.0)


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_bigendian"])
def test_compressed_files_hold_the_same_picture(name):
    expected = read_volume(get_testdata_file("MR_small.dcm"))
    scan = read_volume(get_testdata_file(f"{name}.dcm"))
    np.testing.assert_array_equal(scan.array, expected.array)
    assert scan.modality == "MR"


def test_a_film_in_ybr_becomes_red_green_blue_slices():
    film = read_volume(get_testdata_file("examples_ybr_color.dcm"))
    assert film.array.shape == (30, 240, 320, 3) and film.array.dtype == np.uint8
    assert film.modality == "US"
    grey = film.array.astype(int).std(axis=3) < 3
    assert grey.mean() > 0.9  # an echo is grey but for its colour bar; as YBR it would be green
    frame = read_volume(get_testdata_file("examples_ybr_color.dcm"), frame=3)
    np.testing.assert_array_equal(frame.array, film.array[3:4])


def test_a_film_has_no_frame_behind_its_last():
    assert "0 to 29" in refusal(Path(get_testdata_file("examples_ybr_color.dcm")), frame=30).message


@pytest.mark.parametrize(
    "name", ["SC_ybr_full_422_uncompressed", "SC_rgb_jpeg_dcmtk", "SC_rgb_dcmtk_+eb+cy+s4"]
)
def test_every_colour_coding_gives_the_same_red(name):
    array = read_volume(get_testdata_file(f"{name}.dcm")).array
    assert np.abs(array[0, 5, 50].astype(int) - [255, 0, 0]).max() <= 2


def test_a_dicom_palette_becomes_colours():
    array = read_volume(get_testdata_file("examples_palette.dcm")).array
    assert array.shape == (1, 350, 800, 3) and array.dtype == np.uint8


@pytest.mark.parametrize("name", ["test-SR.dcm", "rtstruct.dcm", "liver_1frame.dcm"])
def test_a_dicom_file_without_an_image_is_refused(name):
    error = refusal(Path(get_testdata_file(name)))
    assert name in error.message and "without an image" in error.message


def test_a_truncated_file_is_said_to_be_damaged():
    assert "damaged" in refusal(Path(get_testdata_file("MR_truncated.dcm"))).message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_cut_anywhere_is_said_to_be_damaged_or_without_image(tmp_path, share):
    data = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    path = tmp_path / "a.dcm"
    path.write_bytes(data[: int(len(data) * share)])
    refusal(path)


def test_an_enhanced_file_is_a_volume_with_the_frames_geometry(tmp_path):
    image = enhanced(values(), [30, 33, 36, 39, 42])
    scan = read_volume(save(image, tmp_path / "mr.dcm"))
    np.testing.assert_array_equal(scan.array, values())
    assert scan.spacing == (0.75, 0.5, 3.0)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 3], [-10, -20, 30])


def test_frames_in_any_order_are_stacked_by_position(tmp_path):
    image = enhanced(values(), [42, 30, 36, 33, 39])
    scan = read_volume(save(image, tmp_path / "mr.dcm"))
    np.testing.assert_array_equal(scan.array, values()[[1, 3, 2, 4, 0]])


def test_frames_at_one_position_are_frames_of_a_4d_image(tmp_path):
    stored = np.concatenate([values(0), values(1)])
    path = save(enhanced(stored, [30, 33, 36, 39, 42] * 2), tmp_path / "mr.dcm")
    assert "2 volumes" in refusal(path).message
    np.testing.assert_array_equal(read_volume(path, frame=1).array, values(1))


def _rescaled(slope: float, intercept: float) -> Sequence:
    macro = Dataset()
    macro.RescaleSlope, macro.RescaleIntercept, macro.RescaleType = slope, intercept, "HU"
    return Sequence([macro])


def test_frames_with_the_same_rescale_hold_its_values(tmp_path):
    image = enhanced(values(), [30, 33, 36, 39, 42])
    for groups in image.PerFrameFunctionalGroupsSequence:
        groups.PixelValueTransformationSequence = _rescaled(2, -1024)
    scan = read_volume(save(image, tmp_path / "ct.dcm"))
    np.testing.assert_array_equal(scan.array, values().astype(int) * 2 - 1024)


@pytest.mark.parametrize("change", [(2, -1024), (1, 0), None])
def test_frames_with_a_rescale_each_are_refused(tmp_path, change):
    image = enhanced(values(), [30, 33, 36, 39, 42])
    for index, groups in enumerate(image.PerFrameFunctionalGroupsSequence):
        if index != 3:
            groups.PixelValueTransformationSequence = _rescaled(1, -1024)
        elif change:
            groups.PixelValueTransformationSequence = _rescaled(*change)
    error = refusal(save(image, tmp_path / "pet.dcm"))
    assert "pet.dcm have rescale slopes" in error.message


def test_two_films_in_a_folder_are_listed_as_two(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(get_testdata_file("examples_ybr_color.dcm"), tmp_path / name)
    assert "1 file of 30 frames" in refusal(tmp_path).message
    assert read_volume(tmp_path, series="2", frame=0).shape == (1, 240, 320)


def test_slicers_example_segmentation_fits_its_ct():
    slicerio = pytest.importorskip("slicerio")
    data = Path(slicerio.__file__).parent / "data"
    scan = read_volume(data / "CTChest4.nrrd")
    labels = read_labels(data / "Segmentation.seg.nrrd", scan)
    assert scan.array.min() == -3024 and scan.array.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(8))
    lung = np.isin(labels, [5, 6])
    assert -1000 < scan.array[lung].mean() < -500
