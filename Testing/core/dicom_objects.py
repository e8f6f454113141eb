"""Series as a PACS holds them, and what DICOM segmentations say, read without our code."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import STRAIGHT, dataset, enhanced, placed, save, values
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import ModelCard

FRAME_OF_REFERENCE = generate_uid(entropy_srcs=["frame of reference"])

COMPLETE = {
    "FrameOfReferenceUID": FRAME_OF_REFERENCE,
    "PositionReferenceIndicator": "",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AccessionNumber": "A17",
    "StudyID": "S1",
    "StudyDate": "20200102",
    "StudyTime": "101112",
    "ReferringPhysicianName": "Referrer^A",
}

STRUCTURES = 3


def _turned(degrees: float) -> tuple:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return ((cos, sin, 0), (0, 0, -1))


def _along_normal(axes: tuple, heights: Sequence[float]) -> np.ndarray:
    return np.array([10, 20, 30]) + np.outer(heights, np.cross(*axes))


_SAGITTAL = ((0, 1, 0), (0, 0, -1))
_EVEN = (0, 2, 4, 6, 8)

# name -> directions and positions of five slices in the order in which they are numbered
SERIES = {
    "axial": (STRAIGHT, _along_normal(STRAIGHT, _EVEN)),
    "descending": (STRAIGHT, _along_normal(STRAIGHT, _EVEN[::-1])),
    "shuffled": (STRAIGHT, _along_normal(STRAIGHT, (4, 0, 8, 2, 6))),
    "oblique": (_turned(22), _along_normal(_turned(22), (0, 3, 6, 9, 12))),
    "sagittal": (_SAGITTAL, _along_normal(_SAGITTAL, _EVEN)),
    "tilted gantry": (STRAIGHT, np.outer(_EVEN, (0, 0.3, 1))),
    "a slice missing": (STRAIGHT, _along_normal(STRAIGHT, (0, 2, 6, 8, 10))),
    "slices missing, descending": (STRAIGHT, _along_normal(STRAIGHT, (14, 8, 4, 2, 0))),
    "uneven": (STRAIGHT, _along_normal(STRAIGHT, (0, 2, 4.7, 6.1, 9))),
}


def write_images(
    folder: Path,
    axes: tuple = STRAIGHT,
    positions: np.ndarray = SERIES["axial"][1],
    **tags: object,
) -> Path:
    """Write a file per position; ``tags`` add to or replace what a complete header says."""
    for k, position in enumerate(positions):
        image = placed(dataset(values()[k]), position, axes)
        image.InstanceNumber = k + 1
        for keyword, value in {**COMPLETE, **tags}.items():
            setattr(image, keyword, value)
        save(image, folder / f"{(k * 7) % 5}{k}.dcm")
    return folder


def write_enhanced(path: Path, heights: Sequence[float], stored: np.ndarray | None = None) -> Path:
    """Write one file whose frames lie at ``heights``."""
    image = enhanced(values() if stored is None else stored, list(heights))
    for keyword, value in COMPLETE.items():
        setattr(image, keyword, value)
    return save(image, path)


def labels_of(volume: Volume) -> np.ndarray:
    """Return labels that follow from the stored values, so that each voxel's is known anywhere."""
    return ((volume.array.astype(int) + 1024) % (STRUCTURES + 1)).astype(np.uint8)


@dataclass(frozen=True)
class Picture:
    """One frame of a file: whose, which, its pixels, and where they lie."""

    instance_uid: str
    number: int | None
    pixels: np.ndarray
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]

    def world(self) -> np.ndarray:
        """Return the position of every pixel, [row, column, 3], LPS in mm (PS3.3, C.7.6.2.1.1)."""
        rows, columns = np.indices(self.pixels.shape)
        along_row, along_column = np.reshape(self.orientation, (2, 3))
        return (
            np.array(self.position)
            + columns[..., None] * self.spacing[1] * along_row
            + rows[..., None] * self.spacing[0] * along_column
        )


def _numbers(value: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(number) for number in value)


def pictures(source: Path) -> list[Picture]:
    """Return the frames of a file, or of all files in a folder."""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    return [picture for file in files for picture in _pictures(pydicom.dcmread(file))]


def _pictures(file: Dataset) -> Iterator[Picture]:
    if "SharedFunctionalGroupsSequence" not in file:
        yield Picture(
            file.SOPInstanceUID,
            None,
            file.pixel_array,
            _numbers(file.ImagePositionPatient),
            _numbers(file.ImageOrientationPatient),
            _numbers(file.PixelSpacing),
        )
        return
    shared = file.SharedFunctionalGroupsSequence[0]
    for index, groups in enumerate(file.PerFrameFunctionalGroupsSequence):
        yield Picture(
            file.SOPInstanceUID,
            index + 1,
            file.pixel_array[index],
            _numbers(groups.PlanePositionSequence[0].ImagePositionPatient),
            _numbers(shared.PlaneOrientationSequence[0].ImageOrientationPatient),
            _numbers(shared.PixelMeasuresSequence[0].PixelSpacing),
        )


@dataclass(frozen=True)
class SegmentFrame:
    """One frame of a segmentation: the segment, its bits, and the picture it says it is from."""

    segment: int
    picture: Picture
    source_uid: str
    source_number: int | None


def segment_frames(path: Path) -> list[SegmentFrame]:
    """Return the frames of a segmentation, unpacked bit by bit (PS3.5, 8.1.1)."""
    file = pydicom.dcmread(path)
    rows, columns, count = file.Rows, file.Columns, int(file.NumberOfFrames)
    bits = np.unpackbits(np.frombuffer(file.PixelData, np.uint8), bitorder="little")
    bits = bits[: count * rows * columns].reshape(count, rows, columns)
    shared = file.SharedFunctionalGroupsSequence[0]
    frames = []
    for mask, groups in zip(bits, file.PerFrameFunctionalGroupsSequence, strict=True):
        # The segment stands among the shared groups where there is one only.
        holder = groups if "SegmentIdentificationSequence" in groups else shared
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        number = source.get("ReferencedFrameNumber")
        frames.append(
            SegmentFrame(
                int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
                Picture(
                    file.SOPInstanceUID,
                    None,
                    mask,
                    _numbers(groups.PlanePositionSequence[0].ImagePositionPatient),
                    _numbers(shared.PlaneOrientationSequence[0].ImageOrientationPatient),
                    _numbers(shared.PixelMeasuresSequence[0].PixelSpacing),
                ),
                source.ReferencedSOPInstanceUID,
                None if number is None else int(number),
            )
        )
    return frames


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skip where ``name`` is not installed, but not in CI, which installs it."""
    missing = shutil.which(name) is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"{name} is not installed")


def complaints(path: Path) -> list[str]:
    """Return what dciodvfy, of dicom3tools, has against a DICOM object, but for one shortcoming.

    It knows no UTF-8.
    """
    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True)
    lines = (judged.stdout + judged.stderr).splitlines()
    said = [line for line in lines if line.startswith(("Error", "Warning"))]
    return [line for line in said if "Specific Character Set" not in line]


def written(folder: Path, card: ModelCard, labels: np.ndarray | None = None) -> Dataset:
    """Segment the series ``folder/ct`` by its values; return what is then in ``folder/seg.dcm``."""
    volume, path = read_volume(folder / "ct"), folder / "seg.dcm"
    write_segmentation(path, labels_of(volume) if labels is None else labels, volume, card)
    return pydicom.dcmread(path)
