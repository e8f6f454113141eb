"""What GDLACore needs to know of a DICOM file, and nothing that names a patient."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom_silence import quiet

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_MAGIC = b"DICM"
_PREAMBLE = 128
# A file without preamble starts with group 0008 (little endian) and one of its first elements.
_BARE_STARTS = tuple(b"\x08\x00" + element + b"\x00" for element in (b"\x00", b"\x05", b"\x08"))

_FRAME_TAGS = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
)
_GEOMETRY_MACROS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
# Images at one position are told apart in this order: phase, echo, weighting, then as numbered.
_FRAME_ORDER_TAGS = (
    "TemporalPositionIdentifier",
    "TriggerTime",
    "EchoTime",
    "DiffusionBValue",
    "AcquisitionNumber",
    "InstanceNumber",
)
_PATIENT_TAGS = ("PatientID", "PatientName", "PatientBirthDate")
_TAGS = [
    *_FRAME_TAGS,
    *_FRAME_ORDER_TAGS,
    *_PATIENT_TAGS,
    "Columns",
    "FrameOfReferenceUID",
    "Modality",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "StudyInstanceUID",
]


@dataclass(frozen=True)
class Plane:
    """Where a slice lies (LPS): its first pixel and the directions along a row and a column."""

    position: np.ndarray  # [3] mm
    along_row: np.ndarray  # [3] unit vector, the way the column index grows
    along_column: np.ndarray  # [3] unit vector, the way the row index grows
    spacing: tuple[float, float]  # mm between columns and between rows
    thickness: float  # mm to the next slice, as far as the header knows


@dataclass(frozen=True)
class Header:
    """One DICOM file with an image: ``planes`` has one entry per frame, or is empty if unknown.

    ``patient`` differs between patients, and is a hash of what does. ``rescales`` is how many
    different rescale slopes and intercepts the frames of an enhanced file have. ``stamp`` is the
    file's (``stamp_of``) from before it was read.
    """

    path: Path
    stamp: tuple[int, int]
    modality: str | None
    description: str
    patient: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str
    series_number: int
    frame_of_reference_uid: str = field(repr=False)
    instance_uid: str
    order: tuple[float, ...]
    shape: tuple[int, int]
    frames: int
    rescales: int
    planes: tuple[Plane, ...]

    @property
    def acquisition(self) -> float:
        """The number of the scan that the image is of, or 0."""
        return self.order[_FRAME_ORDER_TAGS.index("AcquisitionNumber")]


def is_dicom(path: Path) -> bool:
    """Return whether the file's first bytes are those of DICOM, with or without preamble."""
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + len(_MAGIC))
    return head[_PREAMBLE:] == _MAGIC or head.startswith(_BARE_STARTS)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return by what a file that was written again is known: its size, and when that was in ns."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def read_header(path: Path) -> Header | None:
    """Return the header of a DICOM file, or None if it holds no image (report, contours, index).

    Raises VolumeError if the file is damaged, or if pydicom is not installed.
    """
    try:
        import pydicom  # which takes its time, and other formats do without
    except ImportError as error:
        raise VolumeError(
            f"{path.name} is a DICOM file, and pydicom, which reads those, is not installed.",
            "Install it with: pip install pydicom.",
        ) from error
    try:
        stamp = stamp_of(path)
        with quiet():
            dataset = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=_TAGS, force=True
            )
            if "Rows" not in dataset:
                _check_no_image(dataset)
                return None
            return None if dataset.get("Modality") == "SEG" else _header(path, stamp, dataset)
    except Exception as error:  # pydicom reports damage by many exception types
        raise VolumeError(
            f"The DICOM header of {path.name} is damaged.", "Export the image again."
        ) from error


def _check_no_image(dataset: FileDataset) -> None:
    """Raise ValueError if ``dataset``, which ends before it comes to an image, was to have one."""
    kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if not kind or "Image Storage" in kind.name:
        raise ValueError("The header is cut off.")


def _header(path: Path, stamp: tuple[int, int], dataset: Dataset) -> Header:
    frames = int(dataset.get("NumberOfFrames") or 1)
    return Header(
        path=path,
        stamp=stamp,
        modality=str(dataset.get("Modality") or "") or None,
        description=str(dataset.get("SeriesDescription") or "").strip(),
        patient=_patient(dataset),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        series_number=int(dataset.get("SeriesNumber") or 0),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        order=tuple(float(dataset.get(tag) or 0) for tag in _FRAME_ORDER_TAGS),
        shape=(int(dataset.Rows), int(dataset.Columns)),
        frames=frames,
        rescales=_rescales(dataset, frames),
        planes=_planes(dataset, frames),
    )


def _patient(dataset: Dataset) -> str:
    # As they stand in the file: what cannot be decoded tells patients apart, too.
    items = [dataset.get_item(tag) for tag in _PATIENT_TAGS]
    values = [b"" if item is None else bytes(item.value or b"").strip(b" \0") for item in items]
    return hashlib.sha256(b"\0".join(values)).hexdigest()


def _rescales(dataset: Dataset, frames: int) -> int:
    def of(frame: int) -> tuple[float, float]:
        macros = frame_macros(dataset, frame, ("PixelValueTransformationSequence",))
        macro = macros[0] if macros else {}
        return float(macro.get("RescaleSlope") or 1), float(macro.get("RescaleIntercept") or 0)

    return len({of(frame) for frame in range(frames)})


def _planes(dataset: Dataset, frames: int) -> tuple[Plane, ...]:
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        plane = _plane([dataset])
        return () if plane is None else (plane,)
    planes = []
    for index in range(frames):
        plane = _plane(frame_macros(dataset, index))
        if plane is None:
            return ()
        planes.append(plane)
    return tuple(planes)


def frame_macros(
    dataset: Dataset, index: int, names: Sequence[str] = _GEOMETRY_MACROS
) -> list[Dataset]:
    """Return what ``names`` say of frame ``index``, from 0: its own items, then the shared.

    Those that tell its geometry, unless others are named. Empty for a file of one image, which has
    it in itself.
    """
    return [
        *_group(dataset, "PerFrameFunctionalGroupsSequence", index, names),
        *_group(dataset, "SharedFunctionalGroupsSequence", 0, names),
    ]


def _group(dataset: Dataset, keyword: str, index: int, names: Sequence[str]) -> list[Dataset]:
    """Return the macros ``names`` of one frame."""
    groups = dataset.get(keyword) or []
    if index >= len(groups):
        return []
    return [groups[index].get(name)[0] for name in names if groups[index].get(name)]


def _plane(sources: list[Dataset]) -> Plane | None:
    def find(tag: str) -> object:
        return next((source.get(tag) for source in sources if source.get(tag)), None)

    position, orientation = find("ImagePositionPatient"), find("ImageOrientationPatient")
    if position is None or orientation is None:
        return None
    cosines = np.array([float(value) for value in orientation]).reshape(2, 3)
    cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
    row_spacing, column_spacing = (float(v) for v in find("PixelSpacing") or (1.0, 1.0))
    return Plane(
        position=np.array([float(value) for value in position]),
        along_row=cosines[0],
        along_column=cosines[1],
        spacing=(column_spacing, row_spacing),
        thickness=float(find("SpacingBetweenSlices") or find("SliceThickness") or 1.0),
    )
