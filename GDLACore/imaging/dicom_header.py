"""What GDLACore needs to know of a DICOM file, and nothing that names a patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import VolumeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

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
# Images at one position are told apart in this order: phase, echo, weighting, then as numbered.
_FRAME_ORDER_TAGS = (
    "TemporalPositionIdentifier",
    "TriggerTime",
    "EchoTime",
    "DiffusionBValue",
    "AcquisitionNumber",
    "InstanceNumber",
)
_TAGS = [
    *_FRAME_TAGS,
    *_FRAME_ORDER_TAGS,
    "Columns",
    "Modality",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
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
    """One DICOM file with an image: ``planes`` has one entry per frame, or is empty if unknown."""

    path: Path
    modality: str | None
    description: str
    series_uid: str
    series_number: int
    instance_uid: str
    order: tuple[float, ...]
    shape: tuple[int, int]
    frames: int
    planes: tuple[Plane, ...]


def is_dicom(path: Path) -> bool:
    """Return whether the file's first bytes are those of DICOM, with or without preamble."""
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + len(_MAGIC))
    return head[_PREAMBLE:] == _MAGIC or head.startswith(_BARE_STARTS)


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
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "Rows" not in dataset or dataset.get("Modality") == "SEG":
            return None
        return _header(path, dataset)
    except Exception as error:  # pydicom reports damage by many exception types
        raise VolumeError(
            f"The DICOM header of {path.name} is damaged.", "Export the image again."
        ) from error


def _header(path: Path, dataset: Dataset) -> Header:
    frames = int(dataset.get("NumberOfFrames") or 1)
    return Header(
        path=path,
        modality=str(dataset.get("Modality") or "") or None,
        description=str(dataset.get("SeriesDescription") or "").strip(),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        series_number=int(dataset.get("SeriesNumber") or 0),
        instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        order=tuple(float(dataset.get(tag) or 0) for tag in _FRAME_ORDER_TAGS),
        shape=(int(dataset.Rows), int(dataset.Columns)),
        frames=frames,
        planes=_planes(dataset, frames),
    )


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


def frame_macros(dataset: Dataset, index: int) -> list[Dataset]:
    """Return where the geometry of frame ``index``, from 0, stands: its own items, then the shared.

    Empty for a file of one image, which has it in itself.
    """
    return [
        *_group(dataset, "PerFrameFunctionalGroupsSequence", index),
        *_group(dataset, "SharedFunctionalGroupsSequence", 0),
    ]


def _group(dataset: Dataset, keyword: str, index: int) -> list[Dataset]:
    """Return the macros (plane position, plane orientation, pixel measures) of one frame."""
    groups = dataset.get(keyword) or []
    if index >= len(groups):
        return []
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
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
