"""DICOM files as scanners write them, and some as they should not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_volume

SERIES = generate_uid(entropy_srcs=["series"])


NAME = "Secret^Patient"


# What tells patients, studies and places from each other, and values that are another's.
IDENTIFIERS = {
    "PatientID": "4711.5",
    "PatientName": "Secret^Twin",
    "PatientBirthDate": "20010101",
    "StudyInstanceUID": "1.2.4711.5",
    "FrameOfReferenceUID": "1.2.4711.6",
}


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


def two_series(folder: Path) -> Path:
    write_series(folder, values(0))
    other = write_series(folder.parent / "other", values(1)[:3], SeriesInstanceUID=generate_uid())
    for path in other.iterdir():
        image = pydicom.dcmread(path)
        image.SeriesNumber, image.SeriesDescription = 12, "Lung"
        save(image, folder / f"b{path.name}")
    return folder


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
