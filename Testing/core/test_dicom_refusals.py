from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
from dicom_files import SERIES, dataset, placed, refusal, save, two_series, values, write_series
from pydicom.data import get_testdata_file

from GDLACore.imaging.reading import read_volume


def test_two_series_in_a_folder_are_listed_with_the_way_to_choose(tmp_path):
    error = refusal(two_series(tmp_path / "both"))
    assert '1: CT "Abdomen 3.0", 5 files' in error.message
    assert '2: CT "Lung", 3 files' in error.message
    assert "--series" in error.hint


def test_a_series_is_chosen_by_its_place_in_the_list(tmp_path):
    folder = two_series(tmp_path / "both")
    np.testing.assert_array_equal(
        read_volume(folder, series="2").array, values(1)[:3].astype(int) - 1024
    )


def test_a_series_is_chosen_by_its_identifier(tmp_path):
    assert read_volume(two_series(tmp_path / "both"), series=SERIES).shape == (5, 6, 7)


@pytest.mark.parametrize("series", ["3", "0", "", "Lung"])
def test_a_series_that_is_not_there_is_refused_with_the_list(tmp_path, series):
    assert "Abdomen 3.0" in refusal(two_series(tmp_path / "both"), series=series).message


@pytest.mark.parametrize("content", ["nothing", "text", "report"])
def test_a_folder_without_dicom_images_is_refused(tmp_path, content):
    if content == "text":
        (tmp_path / "a.txt").write_text("hello " * 100)
    if content == "report":
        shutil.copy(get_testdata_file("test-SR.dcm"), tmp_path)
    error = refusal(tmp_path)
    assert tmp_path.name in error.message and "no DICOM images" in error.message


def test_a_localizer_within_the_series_is_refused(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    scout = placed(dataset(values()[0]), np.array([0, 0, 0]), ((0, 1, 0), (0, 0, -1)))
    save(scout, folder / "scout.dcm")
    assert "different orientations" in refusal(folder).message


def test_slices_of_another_matrix_are_refused(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    save(placed(dataset(values()[0, :4]), np.array([10, 20, 50])), folder / "x.dcm")
    assert "7x4" in refusal(folder).message


def test_slices_of_another_pixel_size_are_refused(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    image = placed(dataset(values()[0]), np.array([10, 20, 50]))
    image.PixelSpacing = [0.9, 0.9]
    save(image, folder / "x.dcm")
    assert "pixel sizes" in refusal(folder).message


@pytest.mark.parametrize(
    "keyword, stored",
    [
        ("ImageOrientationPatient", ["0"] * 6),
        ("ImageOrientationPatient", ["nan"] * 6),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        ("ImagePositionPatient", ["0", "nan", "0"]),
        ("ImagePositionPatient", ["inf", "0", "0"]),
        ("PixelSpacing", ["-1", "1"]),
        ("PixelSpacing", ["0", "0"]),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_slices_that_lie_nowhere_are_refused(tmp_path, keyword, stored, count):
    folder = write_series(tmp_path / "ct", values()[:count], **{keyword: stored})
    error = refusal(folder)
    assert "ct has a slice without a valid place" in error.message and keyword in error.message


def test_a_truncated_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-40])
    error = refusal(folder)
    assert path.name in error.message and "damaged" in error.message


def test_a_missing_slice_is_reported_with_its_place(tmp_path, caplog):
    folder = write_series(tmp_path / "ct", values())
    next(path for path in folder.iterdir() if path.name.endswith("3.dcm")).unlink()
    scan = read_volume(folder)
    assert scan.shape == (4, 6, 7)
    assert "slices 3 and 4 are 4.00 mm apart" in caplog.text


def test_a_tilted_gantry_is_reported_with_its_angle(tmp_path, caplog):
    shift = 2 * np.tan(np.radians(15))
    read_volume(write_series(tmp_path / "ct", values(), step=(0, shift, 2)))
    assert "gantry tilt about 15.0 degrees" in caplog.text


@pytest.mark.parametrize(
    "numbers, said",
    [([1, 2, 1, 2, 1], True), ([1, 2, 2, 2, 1], True), ([2, 2, 1, 1, 1], False), ("34512", False)],
)
def test_acquisitions_that_lie_between_one_another_are_reported(tmp_path, caplog, numbers, said):
    for k, number in enumerate(numbers):
        image = placed(dataset(values()[k]), np.array([0, 0, 2 * k]))
        image.AcquisitionNumber = number
        save(image, tmp_path / "ct" / f"{k}.dcm")
    assert read_volume(tmp_path / "ct").shape == (5, 6, 7)
    assert ("ct: slices of 2 acquisitions lie between one another" in caplog.text) == said
    assert bool(caplog.text) == said


def test_rounded_positions_are_not_reported(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read_volume(write_series(tmp_path / "ct", values(), step=(0.001, 0.001, 2.0004)))
    assert not caplog.text


def test_a_series_with_phases_has_frames(tmp_path):
    for phase in range(3):
        write_series(tmp_path / "cine" / str(phase), values(phase), TriggerTime=30.0 * (2 - phase))
    folder = tmp_path / "cine"
    error = refusal(folder)
    assert "3 volumes" in error.message and "--frame" in error.hint
    for frame in range(3):
        np.testing.assert_array_equal(
            read_volume(folder, frame=frame).array, values(2 - frame).astype(int) - 1024
        )


def test_positions_with_different_numbers_of_images_are_refused(tmp_path):
    write_series(tmp_path / "ct" / "a", values())
    write_series(tmp_path / "ct" / "b", values()[:2])
    assert "one slice position" in refusal(tmp_path / "ct").message
