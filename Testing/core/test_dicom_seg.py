"""DICOM segmentations have each voxel where the images have it, by anybody's reading."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

highdicom = pytest.importorskip("highdicom")

import pydicom  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from dicom_objects import (  # noqa: E402
    COMPLETE,
    SERIES,
    STRUCTURES,
    complaints,
    labels_of,
    needs_program,
    pictures,
    segment_frames,
    write_enhanced,
    write_images,
)
from phantom import make_card  # noqa: E402

from GDLACore.imaging.dicom_report import check_dicom_report  # noqa: E402
from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.imaging.writing import write_segmentation  # noqa: E402


@pytest.fixture
def segmented(tmp_path: Path):
    """Return a function that segments a file or folder by its values and returns the file."""

    def segment(source: Path, frame: int | None = None) -> Path:
        volume = read_volume(source, frame=frame)
        return write_segmentation(tmp_path / "seg.dcm", labels_of(volume), volume, make_card())

    return segment


def write_named(folder: Path, name: str) -> Path:
    axes, positions = SERIES[name]
    return write_images(folder, axes, positions)


@pytest.mark.parametrize("name", SERIES)
def test_each_frame_is_one_image_of_the_series_and_lies_where_it_lies(tmp_path, segmented, name):
    images = {p.instance_uid: p for p in pictures(write_named(tmp_path / "ct", name))}
    frames = segment_frames(segmented(tmp_path / "ct"))
    assert len(frames) == len({(f.segment, f.source_uid) for f in frames}) == STRUCTURES * 5
    for frame in frames:
        image = images[frame.source_uid]
        np.testing.assert_array_equal(frame.picture.pixels, image.pixels % 4 == frame.segment)
        np.testing.assert_allclose(frame.picture.world(), image.world(), atol=1e-6)
        assert frame.source_number is None


@pytest.mark.parametrize("heights", [(30, 32, 34, 36, 38), (34, 30, 32, 38, 36), (9, 7, 3, 1, -1)])
def test_each_frame_is_one_frame_of_an_enhanced_file(tmp_path, segmented, heights):
    source = write_enhanced(tmp_path / "mr.dcm", heights)
    images = {p.number: p for p in pictures(source)}
    frames = segment_frames(segmented(source))
    assert len(frames) == len({(f.segment, f.source_number) for f in frames}) == STRUCTURES * 5
    for frame in frames:
        image = images[frame.source_number]
        assert frame.source_uid == image.instance_uid
        np.testing.assert_array_equal(frame.picture.pixels, image.pixels % 4 == frame.segment)
        np.testing.assert_allclose(frame.picture.world(), image.world(), atol=1e-6)


def test_of_an_enhanced_file_of_several_volumes_the_frames_of_one_are_meant(tmp_path, segmented):
    stored = np.random.default_rng(3).integers(0, 2000, (6, 6, 7)).astype(np.uint16)
    source = write_enhanced(tmp_path / "mr.dcm", (0, 2, 4, 0, 2, 4), stored)
    frames = segment_frames(segmented(source, frame=1))
    assert sorted({frame.source_number for frame in frames}) == [4, 5, 6]
    for frame in frames:
        mask = stored[frame.source_number - 1] % 4 == frame.segment
        np.testing.assert_array_equal(frame.picture.pixels, mask)


@pytest.mark.parametrize("name", SERIES)
def test_highdicom_reads_the_labels_of_every_image(tmp_path, segmented, name):
    images = pictures(write_named(tmp_path / "ct", name))
    read = highdicom.seg.segread(segmented(tmp_path / "ct")).get_pixels_by_source_instance(
        [image.instance_uid for image in images], combine_segments=True
    )
    np.testing.assert_array_equal(read, [image.pixels % 4 for image in images])


# What Slicer's QuantitativeReporting reads segmentations with. It puts frames on an even grid and
# cannot do so where there is none; it does not know of tilted gantries.
@pytest.mark.parametrize("name", sorted(SERIES.keys() - {"uneven", "tilted gantry"}))
def test_dcmqi_reads_the_labels_at_their_places(tmp_path, segmented, name):
    truth = pictures(write_named(tmp_path / "ct", name))
    read = _read_by_dcmqi(segmented(tmp_path / "ct"), tmp_path / "read")
    array = sitk.GetArrayFromImage(read)
    for image in truth:
        where = [read.TransformPhysicalPointToIndex(p) for p in image.world().reshape(-1, 3)]
        found = [array[k, j, i] for i, j, k in where]
        np.testing.assert_array_equal(found, image.pixels.ravel() % 4)
    assert np.count_nonzero(array) == sum(np.count_nonzero(p.pixels % 4) for p in truth)


def test_slices_that_are_missing_are_told_by_their_distance_not_their_thickness(
    tmp_path, segmented
):
    axes, positions = SERIES["a slice missing"]
    truth = pictures(write_images(tmp_path / "ct", axes, positions, SliceThickness=5))
    read = _read_by_dcmqi(segmented(tmp_path / "ct"), tmp_path / "read")
    assert read.GetSpacing()[2] == pytest.approx(2)
    assert np.count_nonzero(sitk.GetArrayFromImage(read)) == sum(
        np.count_nonzero(image.pixels % 4) for image in truth
    )


@pytest.mark.parametrize(
    "stored",
    [((0.707, 0.707, 0), (0, 0, -1)), ((2, 0, 0), (0, 2, 0))],
    ids=["rounded", "of length 2"],
)
def test_directions_that_are_not_of_length_1_are_written_as_if_they_were(
    tmp_path, segmented, stored
):
    true = np.array(stored) / np.linalg.norm(stored, axis=1, keepdims=True)
    positions = np.outer((0, 3, 6), np.cross(*true))
    source = write_images(tmp_path / "ct", stored, positions)
    check_dicom_report(read_volume(source))
    shared = pydicom.dcmread(segmented(source)).SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(np.array(orientation, float), true.ravel(), atol=1e-9)
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == pytest.approx(3, abs=1e-5)


def _read_by_dcmqi(path: Path, folder: Path) -> sitk.Image:
    dcmqi = pytest.importorskip("dcmqi")
    program = Path(dcmqi.__file__).parent / "bin" / "segimage2itkimage"
    folder.mkdir()
    arguments = ["--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd", "-p", "s"]
    run = subprocess.run([program, *arguments, "--mergeSegments"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = json.loads((folder / "s-meta.json").read_text())["segmentAttributes"]
    assert [s["labelID"] for group in told for s in group] == list(range(1, STRUCTURES + 1))
    return sitk.ReadImage(str(folder / "s-1.nrrd"))


@needs_program("dciodvfy")
@pytest.mark.parametrize("name", SERIES)
def test_dicom3tools_has_nothing_against_it(tmp_path, segmented, name):
    write_named(tmp_path / "ct", name)
    assert complaints(segmented(tmp_path / "ct")) == []


@needs_program("dciodvfy")
def test_dicom3tools_has_nothing_against_that_of_an_enhanced_file(tmp_path, segmented):
    assert complaints(segmented(write_enhanced(tmp_path / "mr.dcm", range(5)))) == []


def test_it_belongs_to_the_patient_and_study_and_is_a_series_of_its_own(tmp_path, segmented):
    source = pydicom.dcmread(next(write_images(tmp_path / "ct").iterdir()))
    made = pydicom.dcmread(segmented(tmp_path / "ct"))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", *COMPLETE):
        assert made[keyword].value == source[keyword].value, keyword
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert made.Modality == "SEG"
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    referenced = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} == {
        image.instance_uid for image in pictures(tmp_path / "ct")
    }


def test_every_run_makes_another_object(tmp_path, segmented):
    write_images(tmp_path / "ct")
    first, second = (
        pydicom.dcmread(segmented(tmp_path / "ct").rename(tmp_path / f"{n}.dcm")) for n in "ab"
    )
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert first[keyword].value != second[keyword].value
