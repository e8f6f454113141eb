"""Structured reports give the volumes of the segments that they refer to."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")

import pydicom
from dicom_files import save
from dicom_objects import (
    COMPLETE,
    SERIES,
    complaints,
    labels_of,
    needs_program,
    write_enhanced,
    write_images,
)
from phantom import make_card
from pydicom.dataset import Dataset

from GDLACore.errors import OutputError
from GDLACore.imaging.dicom_report import check_dicom_report, write_volume_report
from GDLACore.imaging.measure import structure_table
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import Code, ModelCard, Terminology

_EVEN = ("axial", "descending", "oblique", "sagittal", "tilted gantry")
_GAPPED = ("a slice missing", "slices missing, descending", "uneven")
_LEFT = Code("SCT", "7771000", "Left")


def report_on(source: Path, card: ModelCard | None = None, labels: np.ndarray | None = None):
    """Return the report, and the segmentation, of the images ``source``."""
    folder, card, volume = source.parent, card or make_card(), read_volume(source)
    labels = labels_of(volume) if labels is None else labels
    write_segmentation(folder / "seg.dcm", labels, volume, card)
    rows = structure_table(labels, volume, card)
    write_volume_report(folder / "sr.dcm", folder / "seg.dcm", rows, volume, card)
    return pydicom.dcmread(folder / "sr.dcm"), pydicom.dcmread(folder / "seg.dcm")


def groups(report: Dataset) -> list[Dataset]:
    measurements = items(report, "126010")[0]
    return items(measurements, "125007")


def items(parent: Dataset, concept: str) -> list[Dataset]:
    return [
        item
        for item in parent.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == concept
    ]


@pytest.mark.parametrize("name", _EVEN)
def test_each_volume_is_that_of_the_voxels_of_its_segment(tmp_path, name):
    axes, positions = SERIES[name]
    report, seg = report_on(write_images(tmp_path / "ct", axes, positions))
    labels = labels_of(read_volume(tmp_path / "ct"))
    spacing = np.diff(positions @ np.cross(*axes))[0]
    for value, group in enumerate(groups(report), start=1):
        volume = items(group, "118565006")[0].MeasuredValueSequence[0]
        expected = np.count_nonzero(labels == value) * 0.5 * 0.75 * abs(spacing) / 1000
        assert float(volume.NumericValue) == pytest.approx(expected, rel=1e-6)
        unit = volume.MeasurementUnitsCodeSequence[0]
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("mL", "UCUM")
        segment = items(group, "121191")[0].ReferencedSOPSequence[0]
        assert segment.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert segment.ReferencedSegmentNumber == value


def test_a_structure_that_was_not_found_has_no_volume(tmp_path):
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[2, 3, 4] = 2
    report, _ = report_on(write_images(tmp_path / "ct"), labels=labels)
    found = [
        float(items(group, "118565006")[0].MeasuredValueSequence[0].NumericValue)
        for group in groups(report)
    ]
    assert found == pytest.approx([0, 0.00075, 0])


def test_it_says_of_what_and_where_the_volume_is(tmp_path):
    card = make_card()
    anatomy = card.labels[0].terminology.category
    kidney = Terminology(anatomy, Code("SCT", "64033007", "Kidney"), type_modifier=_LEFT)
    tumour = Terminology(
        anatomy,
        Code("SCT", "108369006", "Neoplasm"),
        region=Code("SCT", "39607008", "Lung"),
        region_modifier=Code("SCT", "261183002", "Upper"),
    )
    first, second, third = card.labels
    labels = (
        dataclasses.replace(first, terminology=kidney),
        dataclasses.replace(second, terminology=tumour),
        third,
    )
    report, _ = report_on(write_images(tmp_path / "ct"), dataclasses.replace(card, labels=labels))
    told = [
        (
            items(group, "121071")[0].ConceptCodeSequence[0].CodeValue,
            items(group, "363698007")[0].ConceptCodeSequence[0].CodeValue,
            [
                item.ConceptCodeSequence[0].CodeMeaning
                for item in items(group, "363698007")[0].get("ContentSequence", [])
            ],
        )
        for group in groups(report)
    ]
    assert told[0] == ("64033007", "64033007", ["Left"])
    assert told[1] == ("108369006", "39607008", ["Upper"])
    assert told[2] == ("15825003", "15825003", [])


def test_it_belongs_to_the_patient_and_study_and_nobody_has_verified_it(tmp_path):
    write_images(tmp_path / "ct", PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100")
    report, seg = report_on(tmp_path / "ct")
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", *COMPLETE):
        if "Reference" not in keyword:
            assert report[keyword].value == seg[keyword].value, keyword
    assert report.PatientName == "Müller^Jörg"
    assert len({report.SeriesInstanceUID, seg.SeriesInstanceUID}) == 2
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


@needs_program("dciodvfy")
@pytest.mark.parametrize("name", _EVEN)
def test_dicom3tools_has_nothing_against_it(tmp_path, name):
    axes, positions = SERIES[name]
    report_on(write_images(tmp_path / "ct", axes, positions))
    assert complaints(tmp_path / "sr.dcm") == []


@needs_program("dciodvfy")
def test_dicom3tools_has_nothing_against_that_of_an_enhanced_file(tmp_path):
    report_on(write_enhanced(tmp_path / "mr.dcm", range(5)))
    assert complaints(tmp_path / "sr.dcm") == []


@needs_program("dsrdump")
def test_dcmtk_reads_it_without_a_complaint(tmp_path):
    report_on(write_images(tmp_path / "ct"))
    read = subprocess.run(["dsrdump", tmp_path / "sr.dcm"], capture_output=True, text=True)
    # It shows texts in UTF-8, but cannot check them.
    said = [line for line in read.stderr.splitlines() if "Specific Character Set" not in line]
    assert (read.returncode, said) == (0, [])
    assert read.stdout.count("Measurement Group") == 3


def test_dcmqi_reads_the_volumes(tmp_path):
    dcmqi = pytest.importorskip("dcmqi")
    report_on(write_images(tmp_path / "ct"))
    program = Path(dcmqi.__file__).parent / "bin" / "tid1500reader"
    told = tmp_path / "sr.json"
    subprocess.run(
        [program, "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", told],
        check=True,
        capture_output=True,
    )
    measured = json.loads(told.read_text())["Measurements"]
    rows = structure_table(
        labels_of(read_volume(tmp_path / "ct")), read_volume(tmp_path / "ct"), make_card()
    )
    for group, row in zip(measured, rows, strict=True):
        assert group["ReferencedSegment"] == row.value
        assert float(group["measurementItems"][0]["value"]) == pytest.approx(row.millilitres)


@pytest.mark.parametrize("name", _GAPPED)
def test_there_is_none_where_slices_are_missing_or_uneven(tmp_path, name):
    axes, positions = SERIES[name]
    source = write_images(tmp_path / "ct", axes, positions)
    with pytest.raises(OutputError, match="missing or unevenly spaced") as caught:
        check_dicom_report(read_volume(source))
    assert "Leave out the report" in caught.value.hint
    with pytest.raises(OutputError, match="missing or unevenly spaced"):
        report_on(source)
    assert not (tmp_path / "sr.dcm").exists()


def test_the_spacing_that_uneven_slices_say_they_have_does_not_count(tmp_path):
    axes, positions = SERIES["uneven"]
    write_images(tmp_path / "ct", axes, positions, SpacingBetweenSlices=9 / 4)
    with pytest.raises(OutputError, match="missing or unevenly spaced"):
        check_dicom_report(read_volume(tmp_path / "ct"))


@pytest.mark.parametrize("without", ["SliceThickness", "ImagePositionPatient", "PixelSpacing"])
def test_there_is_none_of_one_slice_whose_size_nobody_knows(tmp_path, without):
    write_images(tmp_path / "ct", positions=np.zeros((1, 3)))
    file = next((tmp_path / "ct").iterdir())
    image = pydicom.dcmread(file)
    delattr(image, without)
    save(image, file)
    with pytest.raises(OutputError, match="say") as caught:
        check_dicom_report(read_volume(tmp_path / "ct"))
    assert caught.value.hint


def test_there_is_none_of_one_slice_that_contradicts_itself(tmp_path):
    write_images(tmp_path / "ct", positions=np.zeros((1, 3)), SpacingBetweenSlices=5)
    with pytest.raises(OutputError, match="how thick"):
        check_dicom_report(read_volume(tmp_path / "ct"))


def test_one_slice_missing_of_hundreds_is_noticed(tmp_path):
    source = write_enhanced(
        tmp_path / "mr.dcm",
        [k for k in range(401) if k != 200],
        np.zeros((400, 2, 4), np.uint16),
    )
    with pytest.raises(OutputError, match="missing or unevenly spaced"):
        check_dicom_report(read_volume(source))


def test_heights_that_scanners_round_are_even(tmp_path):
    heights = np.round(np.arange(20) * 0.7333333, 2)
    source = write_enhanced(tmp_path / "mr.dcm", heights, np.zeros((20, 2, 4), np.uint16))
    check_dicom_report(read_volume(source))


def test_one_slice_is_as_thick_as_it_says(tmp_path):
    report, _ = report_on(write_images(tmp_path / "ct", positions=np.zeros((1, 3))))
    assert len(groups(report)) == 3


def test_what_is_no_segmentation_is_refused(tmp_path):
    volume = read_volume(write_images(tmp_path / "ct"))
    rows = structure_table(labels_of(volume), volume, make_card())
    with pytest.raises(OutputError, match="is not what a report can refer to"):
        write_volume_report(tmp_path / "sr.dcm", volume.frames[0].path, rows, volume, make_card())
    assert not (tmp_path / "sr.dcm").exists()
