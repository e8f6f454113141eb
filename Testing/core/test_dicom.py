from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicerio
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_labels, read_volume

SERIES = generate_uid(entropy_srcs=["series"])
NAME = "Secret^Patient"
STRAIGHT = ((1, 0, 0), (0, 1, 0))


def values(seed: int = 0) -> np.ndarray:
    """Stored values [k, j, i] of a small series."""
    return np.random.default_rng(seed).integers(0, 2000, size=(5, 6, 7)).astype(np.uint16)


def dataset(pixels: np.ndarray, transfer_syntax: str = ExplicitVRLittleEndian) -> FileDataset:
    """Return a CT image of one slice, without a place."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    big_endian = transfer_syntax == ExplicitVRBigEndian
    implicit = transfer_syntax == ImplicitVRLittleEndian
    image = FileDataset("", {}, bytes(128), meta, implicit, not big_endian)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID = SERIES
    image.StudyInstanceUID = SERIES
    image.SeriesNumber = 4
    image.SeriesDescription = "Abdomen 3.0"
    image.PatientName = NAME
    image.PatientID = "4711"
    image.Modality = "CT"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.PixelSpacing = [0.5, 0.75]
    image.SliceThickness = 2
    image.PixelData = pixels.astype(">u2" if big_endian else "<u2").tobytes()
    image["PixelData"].VR = "OW"
    return image


def placed(image: FileDataset, position: np.ndarray, axes: tuple = STRAIGHT) -> FileDataset:
    image.ImagePositionPatient = [round(float(x), 6) for x in position]
    image.ImageOrientationPatient = [float(x) for axis in axes for x in axis]
    return image


def save(image: FileDataset, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    image.save_as(path, enforce_file_format=False)
    return path


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    step: tuple[float, float, float] = (0, 0, 2),
    axes: tuple = STRAIGHT,
    **tags: object,
) -> Path:
    """Write one slice per file; file names follow neither the position nor the number."""
    for k, pixels in enumerate(stored):
        image = placed(dataset(pixels), np.array([10, 20, 30]) + k * np.array(step), axes)
        image.InstanceNumber = k + 1
        for tag, value in tags.items():
            setattr(image, tag, value)
        save(image, folder / f"{(k * 7) % 5}{k}.dcm")
    return folder


def refusal(path: Path, **options: object) -> VolumeError:
    """Return the error; none may name the patient."""
    with pytest.raises(VolumeError) as caught:
        read_volume(path, **options)
    assert caught.value.hint
    assert "Secret" not in str(caught.value) and "4711" not in str(caught.value)
    return caught.value


# Series ---------------------------------------------------------------------------------------


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
    folder = write_series(
        tmp_path / "ct", values(), SeriesInstanceUID="", StudyInstanceUID="", SOPInstanceUID=""
    )
    assert read_volume(folder).shape == (5, 6, 7)


def test_other_files_in_the_folder_do_not_matter(tmp_path):
    folder = write_series(tmp_path / "ct", values())
    (folder / "readme.txt").write_text("not DICOM")
    (folder / "empty.dcm").touch()
    shutil.copy(get_testdata_file("test-SR.dcm"), folder)
    shutil.copy(get_testdata_file("dicomdirtests/DICOMDIR"), folder / "DICOMDIR")
    assert read_volume(folder).shape == (5, 6, 7)


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


def two_series(folder: Path) -> Path:
    write_series(folder, values(0))
    other = write_series(folder.parent / "other", values(1)[:3], SeriesInstanceUID=generate_uid())
    for path in other.iterdir():
        image = pydicom.dcmread(path)
        image.SeriesNumber, image.SeriesDescription = 12, "Lung"
        save(image, folder / f"b{path.name}")
    return folder


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


# Single files ---------------------------------------------------------------------------------


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


# Enhanced (multi-frame) files -----------------------------------------------------------------


def enhanced(stored: np.ndarray, heights: list[float]) -> FileDataset:
    """Return an enhanced MR file whose frames lie at the given heights."""
    image = dataset(stored)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = EnhancedMRImageStorage
    image.Modality = "MR"
    image.NumberOfFrames = len(stored)
    for tag in ("PixelSpacing", "SliceThickness", "RescaleSlope", "RescaleIntercept"):
        delattr(image, tag)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 9
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for height in heights:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [10, 20, height]
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return image


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


def test_two_films_in_a_folder_are_listed_as_two(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(get_testdata_file("examples_ybr_color.dcm"), tmp_path / name)
    assert "1 file of 30 frames" in refusal(tmp_path).message
    assert read_volume(tmp_path, series="2", frame=0).shape == (1, 240, 320)


# Labels ---------------------------------------------------------------------------------------


def test_slicers_example_segmentation_fits_its_ct():
    data = Path(slicerio.__file__).parent / "data"
    scan = read_volume(data / "CTChest4.nrrd")
    labels = read_labels(data / "Segmentation.seg.nrrd", scan)
    assert scan.array.min() == -3024 and scan.array.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(8))
    lung = np.isin(labels, [5, 6])
    assert -1000 < scan.array[lung].mean() < -500
