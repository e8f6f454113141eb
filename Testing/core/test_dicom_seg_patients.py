"""DICOM segmentations repeat the images' patient and study, whatever their headers are like."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pydicom
import pydicom.config
import pytest
from dicom_files import dataset, placed, save, values
from dicom_objects import COMPLETE, labels_of, segment_frames, write_images, written
from phantom import make_card
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from GDLACore.imaging.dicom_report import check_dicom_report, write_volume_report
from GDLACore.imaging.measure import structure_table
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import write_segmentation

pytest.importorskip("highdicom")


@pytest.mark.parametrize(
    "character_set, name",
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Łukasz^Żółć"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_any_character_set_stay_what_they_are(tmp_path, character_set, name):
    inner = Dataset()
    inner.InstitutionName = "Klinik" if isinstance(character_set, list) else name[:5]
    write_images(
        tmp_path / "ct",
        SpecificCharacterSet=character_set,
        PatientName=name,
        ReferringPhysicianIdentificationSequence=Sequence([inner]),
    )
    made = written(tmp_path, make_card())
    assert made.PatientName == name
    physician = made.ReferringPhysicianIdentificationSequence[0]
    assert physician.InstitutionName == inner.InstitutionName
    assert made.SpecificCharacterSet == "ISO_IR 192"


def test_a_letter_half_of_which_looks_like_a_separator_stays_what_it_is(tmp_path):
    kanji = "山本^秋".encode("iso2022_jp")  # of which pydicom makes several names
    folder = write_images(
        tmp_path / "ct",
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="x" * len(kanji),
    )
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes().replace(b"x" * len(kanji), kanji))
    assert written(tmp_path, make_card()).PatientName == "山本^秋"


def test_what_the_images_leave_out_is_empty(tmp_path):
    write_images(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        image = pydicom.dcmread(file)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"):
            delattr(image, keyword)
        for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "SliceThickness"):
            delattr(image, keyword)
        save(image, file)
    made = written(tmp_path, make_card())
    assert made.PatientID == "" and not made.PatientSex and not made.StudyDate
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (2, 2)


def test_a_sex_that_dicom_does_not_know_is_repeated_as_it_is(tmp_path):
    write_images(tmp_path / "ct", PatientSex="W")
    assert written(tmp_path, make_card()).PatientSex == "W"


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("PatientBirthDate", "19500000"),
        ("PatientBirthDate", "1950-01-01"),
        ("StudyDate", "unknown"),
        ("StudyTime", "10:10:10"),
        ("StudyTime", "250000"),
    ],
)
def test_dates_and_times_that_are_none_are_repeated_as_they_are(
    tmp_path, monkeypatch, keyword, value
):
    mode = pydicom.config.IGNORE
    with monkeypatch.context() as loose:
        loose.setattr(pydicom.config.settings, "reading_validation_mode", mode)
        write_images(tmp_path / "ct", **{keyword: value})
    volume = read_volume(tmp_path / "ct")
    labels, card = labels_of(volume), make_card()
    check_dicom_report(volume)
    write_segmentation(tmp_path / "seg.dcm", labels, volume, card)
    rows = structure_table(labels, volume, card)
    write_volume_report(tmp_path / "sr.dcm", tmp_path / "seg.dcm", rows, volume, card)
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", mode)
    for name in ("seg.dcm", "sr.dcm"):
        made = pydicom.dcmread(tmp_path / name)
        expected = {**COMPLETE, keyword: value}
        assert {key: str(made[key].value) for key in expected if "Reference" not in key} == {
            key: text for key, text in expected.items() if "Reference" not in key
        }


def test_the_number_of_the_series_is_one_that_dicom_can_write(tmp_path):
    write_images(tmp_path / "ct", SeriesNumber=2**31 - 1)
    assert written(tmp_path, make_card()).SeriesNumber == 999


def test_nothing_that_names_the_patient_is_printed_or_logged(tmp_path, caplog, capfd):
    write_images(tmp_path / "ct", PatientName="Secret")
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        written(tmp_path, make_card())
    said = caplog.text + "".join(map(str, raised)) + "".join(capfd.readouterr())
    assert "Secret" not in said and "4711" not in said
    assert logging.getLogger("highdicom").level == logging.NOTSET


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_numbers_and_texts_of_other_encodings_stay_what_they_are(tmp_path, syntax):
    inner = Dataset()
    inner.InstitutionName = "Klinik Süd"
    for k, stored in enumerate(values()):
        image = placed(dataset(stored, syntax), np.array([0, 0, 2.0 * k]))
        for keyword, value in COMPLETE.items():
            setattr(image, keyword, value)
        image.SpecificCharacterSet = "ISO_IR 100"
        image.PatientName = "Müller^J"
        image.PregnancyStatus = 4  # two bytes
        image.ReferringPhysicianIdentificationSequence = Sequence([inner])
        save(image, tmp_path / "ct" / f"{k}.dcm")
    made = written(tmp_path, make_card())
    assert (made.PregnancyStatus, made.PatientName) == (4, "Müller^J")
    physician = made.ReferringPhysicianIdentificationSequence[0]
    assert physician.InstitutionName == "Klinik Süd"


def test_of_several_images_at_each_place_the_chosen_ones_are_meant(tmp_path):
    uids = {}
    for k in range(3):
        for phase in range(2):
            image = placed(dataset(values()[k]), np.array([0, 0, 2.0 * k]))
            for keyword, value in COMPLETE.items():
                setattr(image, keyword, value)
            image.TemporalPositionIdentifier = phase + 1
            uids[image.SOPInstanceUID] = phase
            save(image, tmp_path / "ct" / f"{k}{phase}.dcm")
    volume = read_volume(tmp_path / "ct", frame=1)
    path = tmp_path / "seg.dcm"
    write_segmentation(path, labels_of(volume), volume, make_card())
    assert {uids[frame.source_uid] for frame in segment_frames(path)} == {1}


def test_slices_turned_by_less_than_shows_are_one_segmentation(tmp_path):
    for k in range(3):
        turned = ((1, 1e-7 * k, 0), (0, 1, 0))
        image = placed(pydicom.dcmread(_complete(tmp_path)), np.array([0, 0, 2.0 * k]), turned)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.{k + 1}"
        save(image, tmp_path / "ct" / f"{k}.dcm")
    assert len(written(tmp_path, make_card()).PerFrameFunctionalGroupsSequence) == 9


def _complete(tmp_path):
    return next(write_images(tmp_path / "one", positions=np.zeros((1, 3)), **COMPLETE).iterdir())
