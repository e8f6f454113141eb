from __future__ import annotations

import shutil

import numpy as np
import pytest
from dicom_files import dataset, placed, save, values, write_series
from pydicom.data import get_testdata_file

from GDLACore.imaging.reading import read_volume


def test_a_series_is_stacked_by_position_in_hounsfield_units(tmp_path):
    scan = read_volume(write_series(tmp_path / "ct", values()))
    np.testing.assert_array_equal(scan.array, values().astype(int) - 1024)
    assert scan.array.dtype == np.int16
    assert scan.spacing == (0.75, 0.5, 2.0)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 3], [-10, -20, 30])
    assert (scan.name, scan.modality) == ("ct", "CT")


def test_slices_stored_from_top_to_bottom_are_stacked_upwards(tmp_path):
    scan = read_volume(write_series(tmp_path / "ct", values(), step=(0, 0, -2)))
    np.testing.assert_array_equal(scan.array, values()[::-1].astype(int) - 1024)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 3], [-10, -20, 22])


def test_an_oblique_series_keeps_its_directions(tmp_path):
    cos, sin = np.cos(np.radians(22)), np.sin(np.radians(22))
    axes = ((cos, sin, 0), (0, 0, -1))
    normal = np.cross(*axes)
    scan = read_volume(write_series(tmp_path / "mr", values(), step=tuple(3 * normal), axes=axes))
    lps = np.stack([0.75 * np.array(axes[0]), 0.5 * np.array(axes[1]), 3 * normal], axis=1)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, :3], np.diag([-1, -1, 1]) @ lps, atol=1e-6)


def test_without_any_identifier_the_folder_is_one_series(tmp_path):
    identifiers = ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "PatientID")
    folder = write_series(
        tmp_path / "ct", values(), **dict.fromkeys((*identifiers, "PatientName"), "")
    )
    assert read_volume(folder).shape == (5, 6, 7)


def test_other_files_in_the_folder_do_not_matter(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    (folder / "readme.txt").write_text("not DICOM")
    (folder / "empty").touch()
    (folder / "._34.dcm").write_text("of another file")
    shutil.copy(get_testdata_file("test-SR.dcm"), folder)
    shutil.copy(get_testdata_file("dicomdirtests/DICOMDIR"), folder / "DICOMDIR")
    assert read_volume(folder).shape == (5, 6, 7)


@pytest.mark.parametrize("name", [".hidden.dcm", ".trash/slice.dcm"])
@pytest.mark.parametrize("below", ["", "study"])
def test_images_whose_names_begin_with_a_dot_are_not_looked_at(tmp_path, name, below):
    folder = write_series(tmp_path / "cd" / below, values())
    save(placed(dataset(values()[0]), np.array([10, 20, 90])), folder / name)
    assert read_volume(tmp_path / "cd").shape == (5, 6, 7)


def test_a_series_in_a_subfolder_is_found(tmp_path):
    write_series(tmp_path / "cd" / "study" / "ct", values())
    assert read_volume(tmp_path / "cd").shape == (5, 6, 7)


def test_a_folder_of_one_file_is_read(tmp_path):
    write_series(tmp_path / "ct", values()[:1])
    assert read_volume(tmp_path / "ct").shape == (1, 6, 7)


def test_the_same_image_twice_counts_once(tmp_path, caplog):
    folder = write_series(tmp_path / "ct", values())
    shutil.copy(folder / "00.dcm", folder / "copy of 00.dcm")
    assert read_volume(folder).shape == (5, 6, 7)
    assert "1 copies" in caplog.text


def test_slices_with_their_own_rescale_keep_their_values(tmp_path):
    for k, slope in enumerate([1, 0.5, 0.25]):
        image = placed(dataset(values()[k]), np.array([0, 0, 2.0 * k]))
        image.RescaleSlope, image.RescaleIntercept = slope, 0
        save(image, tmp_path / "pet" / f"{k}.dcm")
    array = read_volume(tmp_path / "pet").array
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, values()[:3] * np.array([1, 0.5, 0.25])[:, None, None])


def test_slices_without_a_position_follow_their_numbers(tmp_path, caplog):
    for k in range(5):
        image = dataset(values()[k])
        image.InstanceNumber = k + 1
        save(image, tmp_path / "sc" / f"{(k * 7) % 5}.dcm")
    scan = read_volume(tmp_path / "sc")
    np.testing.assert_array_equal(scan.array, values().astype(int) - 1024)
    assert scan.spacing[:2] == (0.75, 0.5)
    assert "no position" in caplog.text
