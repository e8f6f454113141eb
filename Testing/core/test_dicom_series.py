"""Images of one series, all of them and no others, make a volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, refusal, save, values, write_series
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom import find_series, read_dicom_series
from GDLACore.imaging.reading import read_volume


def _numbered(folder, number):
    return next(p for p in folder.iterdir() if pydicom.dcmread(p).InstanceNumber == number)


def _two(folder, **others):
    """Write five images, and between them five of another patient or study."""
    write_series(folder, values())
    write_series(folder.parent / "other", values(1), **others)
    for path in (folder.parent / "other").iterdir():
        image = pydicom.dcmread(path)
        image.ImagePositionPatient[2] += 1
        save(image, folder / f"b{path.name}")
    return folder


@pytest.mark.parametrize("keyword", IDENTIFIERS)
def test_equal_series_uids_of_two_patients_or_studies_are_two_series(tmp_path, keyword):
    folder = _two(tmp_path / "ct", **{keyword: IDENTIFIERS[keyword]})
    assert "contains 2 DICOM series" in refusal(folder).message
    assert [len(headers) for headers in find_series(folder)] == [5, 5]
    read = [read_volume(folder, series=number).array.astype(int) + 1024 for number in "12"]
    assert {array.tobytes() for array in read} == {
        values(seed).astype(int).tobytes() for seed in (0, 1)
    }
    uid = find_series(folder)[0][0].series_uid
    assert "2 DICOM series of that UID" in refusal(folder, series=uid).message


def test_patients_are_told_apart_without_any_uid(tmp_path):
    folder = _two(tmp_path / "ct", PatientID="B")
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.SeriesInstanceUID = image.StudyInstanceUID = ""
        save(image, path)
    assert "contains 2 DICOM series" in refusal(folder).message


def test_a_header_shows_neither_patient_nor_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # It shows the image's UID, in which any number may be, unless it is given.
    uids = {"StudyInstanceUID": "1.4711", "SOPInstanceUID": "1.2.3"}
    header = find_series(write_series(Path("ct"), values()[:1], **uids))[0][0]
    assert "Secret" not in repr(header) and "4711" not in repr(header)
    assert "Secret" not in header.patient


def test_a_series_that_got_another_ones_image_is_no_longer_one(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    files = [header.path for header in find_series(folder)[0]]
    write_series(tmp_path / "other", values(1), PatientID="B", SeriesInstanceUID=generate_uid())
    shutil.copy(sorted((tmp_path / "other").iterdir())[2], files[2])
    with pytest.raises(VolumeError, match="exam are not, or no longer, the images of one series"):
        read_dicom_series(files, "exam")


def test_a_series_of_which_an_image_became_a_report_is_no_longer_one(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    files = [header.path for header in find_series(folder)[0]]
    shutil.copy(get_testdata_file("test-SR.dcm"), files[4])
    with pytest.raises(VolumeError, match="no longer"):
        read_dicom_series(files, "exam")


@pytest.mark.parametrize("size", [0, 100, 131, 140, 400, 700, -40])
@pytest.mark.parametrize("bare_name", [None, "1.2.3.45", "IM0005"])
def test_the_last_image_torn_anywhere_is_named_and_not_left_out(tmp_path, size, bare_name):
    folder = write_series(tmp_path / "ct", values())
    if bare_name:
        for number, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / f"IM{number}")
    torn = _numbered(folder, 5)
    if bare_name:
        torn = torn.rename(folder / bare_name)
    torn.write_bytes(torn.read_bytes()[:size])
    error = refusal(folder)
    assert torn.name in error.message and "damaged" in error.message
    if size >= 0:  # else only its pixels are cut
        with pytest.raises(VolumeError, match="damaged"):
            find_series(folder)
    with pytest.raises(VolumeError, match="damaged"):
        read_dicom_series(sorted(folder.iterdir()), "exam")


def test_a_file_of_zeros_among_the_images_is_named(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    path = _numbered(folder, 1)
    path.write_bytes(bytes(path.stat().st_size))
    assert path.name in refusal(folder).message


def test_an_image_that_cannot_be_opened_is_an_error(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    path = _numbered(folder, 1)
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    assert "cannot be opened" in refusal(folder).message
    with pytest.raises(OSError):
        find_series(folder)


def test_different_images_of_one_uid_are_refused(tmp_path):
    error = refusal(write_series(tmp_path / "ct", values(), SOPInstanceUID="1.2.3"))
    assert "have the same UID" in error.message


@pytest.mark.parametrize(
    "change", [{"InstanceNumber": 9}, {"ImagePositionPatient": [10, 20, 50]}, {"PixelData": None}]
)
def test_a_copy_that_differs_in_anything_is_refused(tmp_path, change):
    folder = write_series(tmp_path / "ct", values())
    image = pydicom.dcmread(folder / "00.dcm")
    for keyword, value in change.items():
        setattr(image, keyword, value or bytes(len(image.PixelData)))
    save(image, folder / "copy.dcm")
    assert "have the same UID" in refusal(folder).message


def test_a_copy_in_another_encoding_is_left_out(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    image = pydicom.dcmread(folder / "00.dcm")
    image.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    image.save_as(folder / "copy.dcm", implicit_vr=True)
    scan = read_volume(folder)
    np.testing.assert_array_equal(scan.array, values().astype(int) - 1024)
