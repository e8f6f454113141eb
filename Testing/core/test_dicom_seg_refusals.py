"""What cannot be written as DICOM is told in a sentence, and nothing is left behind."""

from __future__ import annotations

import builtins
import dataclasses
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, placed, save, write_series
from dicom_files import values as stored_values
from dicom_objects import labels_of, write_images
from phantom import make_card, make_labels, make_volume

from GDLACore.errors import OutputError
from GDLACore.imaging.dicom_header import stamp_of
from GDLACore.imaging.dicom_seg import check_dicom_source
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import write_segmentation


def refusal(volume: Volume, path: Path) -> OutputError:
    """Return the error; it names no patient and leaves nothing behind."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(OutputError) as caught:
        write_segmentation(path, labels_of(volume), volume, make_card())
    assert sorted(path.parent.iterdir()) == before
    assert caught.value.hint
    assert "Secret" not in str(caught.value) and "4711" not in str(caught.value)
    return caught.value


def unnoticed(volume: Volume) -> Volume:
    """Return ``volume`` as if its files had been read in the form that they have now."""
    frames = [dataclasses.replace(f, stamp=stamp_of(f.path)) for f in volume.frames]
    return dataclasses.replace(volume, frames=tuple(frames))


@pytest.fixture
def needs_highdicom() -> None:
    pytest.importorskip("highdicom")


def test_without_highdicom_it_is_named(tmp_path, monkeypatch):
    volume = read_volume(write_images(tmp_path / "ct"))
    original = builtins.__import__

    def missing(name: str, *arguments: object) -> object:
        if name.partition(".")[0] == "highdicom":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    error = refusal(volume, tmp_path / "seg.dcm")
    assert "highdicom" in error.message and "pip install highdicom" in error.hint


def test_a_highdicom_that_is_too_old_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(pytest.importorskip("highdicom"), "__version__", "0.27.0")
    volume = read_volume(write_images(tmp_path / "ct"))
    error = refusal(volume, tmp_path / "seg.dcm")
    assert "highdicom 0.27.0 is too old" in error.message and ">=0.28" in error.hint


@pytest.mark.usefixtures("needs_highdicom")
def test_an_image_of_another_format_has_nothing_to_refer_to(tmp_path):
    with pytest.raises(OutputError, match="phantom was not read from DICOM") as caught:
        write_segmentation(tmp_path / "o.dcm", make_labels(), make_volume(np.eye(3)), make_card())
    assert ".seg.nrrd" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("needs_highdicom")
@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
def test_images_without_uids_cannot_be_referred_to(tmp_path, keyword):
    volume = read_volume(write_images(tmp_path / "ct", **{keyword: ""}))
    assert "UIDs" in refusal(volume, tmp_path / "seg.dcm").message


@pytest.mark.usefixtures("needs_highdicom")
def test_images_without_a_frame_of_reference_have_no_place(tmp_path):
    volume = read_volume(write_series(tmp_path / "ct", stored_values()))
    assert "frame of reference" in refusal(volume, tmp_path / "seg.dcm").message


@pytest.mark.usefixtures("needs_highdicom")
@pytest.mark.parametrize("keyword", IDENTIFIERS)
def test_images_that_became_those_of_two_patients_or_studies_are_not_one(tmp_path, keyword):
    volume = read_volume(write_images(tmp_path / "ct"))
    file = volume.frames[3].path
    image = pydicom.dcmread(file)
    setattr(image, keyword, IDENTIFIERS[keyword])
    save(image, file)
    error = refusal(unnoticed(volume), tmp_path / "seg.dcm")
    assert "one patient, study, series" in error.message


@pytest.mark.usefixtures("needs_highdicom")
def test_an_image_that_was_removed_meanwhile_is_named(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct"))
    volume.frames[2].path.unlink()
    message = refusal(volume, tmp_path / "seg.dcm").message
    assert volume.frames[2].path.name in message and "read again" in message


@pytest.mark.usefixtures("needs_highdicom")
def test_an_image_of_another_uid_in_its_place_is_named(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct"))
    path = volume.frames[1].path
    image = pydicom.dcmread(path)
    image.SOPInstanceUID = "1.2.3"
    save(image, path)
    message = refusal(unnoticed(volume), tmp_path / "seg.dcm").message
    assert path.name in message and "another one" in message


@pytest.mark.usefixtures("needs_highdicom")
@pytest.mark.parametrize("change", [{"PixelData": bytes(84)}, {"ImagePositionPatient": [0, 1, 2]}])
def test_an_image_that_was_written_again_under_its_uid_is_named(tmp_path, change):
    volume = read_volume(write_images(tmp_path / "ct"))
    path = volume.frames[1].path
    written = path.stat().st_mtime_ns
    image = pydicom.dcmread(path)
    for keyword, value in change.items():
        setattr(image, keyword, value)
    save(image, path)
    os.utime(path, ns=(written, written + 10**9))
    message = refusal(volume, tmp_path / "seg.dcm").message
    assert path.name in message and "another one" in message


@pytest.mark.usefixtures("needs_highdicom")
def test_slices_that_are_not_parallel_enough_are_refused(tmp_path):
    write_images(tmp_path / "ct")
    file = sorted((tmp_path / "ct").iterdir())[3]
    image = pydicom.dcmread(file)
    angle = np.radians(2)
    axes = ((np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0))
    save(placed(image, np.array(image.ImagePositionPatient), axes), file)
    error = refusal(read_volume(tmp_path / "ct"), tmp_path / "seg.dcm")
    assert "not parallel" in error.message


@pytest.mark.usefixtures("needs_highdicom")
def test_a_film_without_places_is_refused(tmp_path):
    folder = write_images(tmp_path / "ct")
    image = pydicom.dcmread(next(folder.iterdir()))
    image.NumberOfFrames, image.PixelData = 5, stored_values().tobytes()
    del image.ImagePositionPatient, image.ImageOrientationPatient
    error = refusal(read_volume(save(image, tmp_path / "film.dcm")), tmp_path / "seg.dcm")
    assert "where in the patient" in error.message


@pytest.mark.usefixtures("needs_highdicom")
def test_headers_that_highdicom_refuses_are_one_sentence_before_the_work(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct", PatientName="Secret\\Twin"))
    with pytest.raises(OutputError, match="headers of ct are not what DICOM demands") as caught:
        check_dicom_source(volume)
    assert str(refusal(volume, tmp_path / "seg.dcm")) == str(caught.value)


@pytest.mark.usefixtures("needs_highdicom")
def test_a_name_that_is_not_of_the_declared_characters_is_refused_before_the_work(tmp_path):
    # UTF-8, of which an image says nothing.
    folder = _with_bytes(tmp_path / "ct", "PatientName", "Sécret^M".encode())
    with pytest.raises(OutputError, match="The PatientName of 00.dcm cannot be copied") as caught:
        check_dicom_source(read_volume(folder))
    assert "SpecificCharacterSet" in caught.value.message and ".seg.nrrd" in caught.value.hint
    assert "cret" not in str(caught.value)


@pytest.mark.usefixtures("needs_highdicom")
def test_a_text_that_is_not_repeated_may_be_of_any_characters(tmp_path):
    folder = _with_bytes(tmp_path / "ct", "SeriesDescription", "Köpf".encode("latin-1"))
    check_dicom_source(read_volume(folder))


def _with_bytes(folder: Path, keyword: str, text: bytes) -> Path:
    placeholder = b"x" * len(text)
    write_images(folder, **{keyword: placeholder.decode()})
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes().replace(placeholder, text))
    return folder


@pytest.mark.usefixtures("needs_highdicom")
def test_frames_of_a_volume_that_was_cut_do_not_fit(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct"))
    cut = dataclasses.replace(volume, array=volume.array[:3])
    assert "was not read from DICOM" in refusal(cut, tmp_path / "seg.dcm").message


@pytest.mark.usefixtures("needs_highdicom")
def test_an_earlier_file_survives_a_failure(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct"))
    path = tmp_path / "seg.dcm"
    path.write_bytes(b"earlier")
    with pytest.raises(OutputError, match="exists already"):
        write_segmentation(path, labels_of(volume), volume, make_card())
    volume.frames[0].path.unlink()
    with pytest.raises(OutputError, match="read again"):
        write_segmentation(path, labels_of(volume), volume, make_card(), overwrite=True)
    assert path.read_bytes() == b"earlier"
