"""The images that a DICOM object is made from: read again, checked, and one dataset per slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import OutputError
from GDLACore.imaging.dicom_header import frame_macros, stamp_of
from GDLACore.imaging.dicom_silence import quiet
from GDLACore.imaging.dicom_text import decode_texts
from GDLACore.imaging.slice_stack import grid_step
from GDLACore.imaging.volume import DicomFrame, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_OTHER_FORMAT = "Write another format, such as .seg.nrrd."

# What one object can refer to: all images must agree on it.
_SHARED = (
    *("PatientID", "PatientName", "PatientBirthDate"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
)
# What an object repeats of its images, empty where they leave it out.
_REPEATED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_LARGEST_TURN = 0.1  # of a pixel, by which slices that are not quite parallel may be off at the rim


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """What one slice was read from, the ``file`` of that name.

    ``dataset`` describes it as an image of its own, without pixels, its geometry at the root.
    ``number`` counts it within its file, from 1; None if it is the file's only picture.
    ``thickness`` is the slice's in mm, if the file tells it; ``dataset`` has one in any case.
    ``unreadable`` are the keywords of texts that are not of the character set the file declares.
    """

    file: str
    dataset: Dataset
    class_uid: str
    instance_uid: str
    number: int | None
    thickness: float | None
    unreadable: frozenset[str]


@dataclass(frozen=True, eq=False)
class _File:
    """An image file, read again: its ``stamp_of`` from after that."""

    dataset: Dataset
    unreadable: frozenset[str]
    stamp: tuple[int, int]


def source_frames(volume: Volume) -> list[SourceFrame]:
    """Return what the slices of ``volume`` along k were read from.

    The files are read again, without pixels. Raises OutputError if ``volume`` is not from DICOM, if
    the files are not those that it was read from, or if they lack what refers to them.
    """
    if len(volume.frames) != volume.shape[0]:
        raise OutputError(
            f"{volume.name} was not read from DICOM images, which a DICOM segmentation refers to.",
            "Give the folder of a DICOM series, or write another format, such as .seg.nrrd.",
        )
    with quiet():
        files = {path: _read(path, volume) for path in dict.fromkeys(f.path for f in volume.frames)}
        sources = [_source(files[frame.path], frame, volume) for frame in volume.frames]
        _check_shared([source.dataset for source in sources], volume.name)
        if len(sources) > 1 or "ImagePositionPatient" in sources[0].dataset:
            _check_geometry([source.dataset for source in sources], volume)
    return sources


def put(dataset: Dataset, keyword: str, value: object) -> None:
    """Set an attribute, and not the one that ``dataset`` shares with what it was updated from."""
    from pydicom.datadict import dictionary_VR

    dataset.add_new(keyword, dictionary_VR(keyword), value)


def _read(path: Path, volume: Volume) -> _File:
    import pydicom

    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        unreadable = decode_texts(dataset)  # while their character set is known
        return _File(dataset, unreadable, stamp_of(path))
    except Exception as error:  # pydicom reports damage by many exception types
        raise OutputError(
            f"{path.name}, an image of {volume.name}, cannot be read again.",
            "Leave the images where they are until the segmentation is written.",
        ) from error


def _source(read: _File, frame: DicomFrame, volume: Volume) -> SourceFrame:
    file = read.dataset
    instance_uid = str(file.get("SOPInstanceUID") or "")
    if not instance_uid or not all(
        file.get(name) for name in ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
    ):
        raise OutputError(
            f"{frame.path.name}, an image of {volume.name}, has lost the UIDs by which a DICOM "
            "segmentation refers to it.",
            _OTHER_FORMAT,
        )
    # Not every file system keeps the time exactly: another patient's file need not have another.
    if (read.stamp, instance_uid) != (frame.stamp, frame.instance_uid):
        raise OutputError(
            f"{frame.path.name}, an image of {volume.name}, is another one than was segmented.",
            "Segment the series again, and leave its files as they are until then.",
        )
    several = int(file.get("NumberOfFrames") or 1) > 1 or "SharedFunctionalGroupsSequence" in file
    dataset = _alone(file, frame.number - 1)
    thickness = dataset.get("SliceThickness")
    if not thickness:
        put(dataset, "SliceThickness", f"{volume.spacing[2]:.10g}"[:16])
    return SourceFrame(
        file=frame.path.name,
        dataset=dataset,
        class_uid=str(file.SOPClassUID),
        instance_uid=instance_uid,
        number=frame.number if several else None,
        thickness=float(thickness) if thickness else None,
        unreadable=read.unreadable,
    )


def _alone(file: Dataset, index: int) -> Dataset:
    """Return picture ``index`` of ``file``, from 0, as an image that has the file to itself."""
    from pydicom.dataset import Dataset

    alone = Dataset()
    alone.update(file)
    for macro in frame_macros(file, index)[::-1]:
        alone.update(macro)
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        if keyword in alone:
            del alone[keyword]
    for keyword in _REPEATED:
        if keyword not in alone:
            put(alone, keyword, "")
    # Often wrong; the positions tell it.
    if "SpacingBetweenSlices" in alone:
        del alone.SpacingBetweenSlices
    return alone


def _check_shared(images: list[Dataset], name: str) -> None:
    for keyword in _SHARED:
        if len({str(image.get(keyword, "")) for image in images}) > 1:
            raise OutputError(
                f"The images of {name} are not of one patient, study, series and frame of "
                "reference.",
                "Put the images of one series into a folder of their own.",
            )


def _check_geometry(images: list[Dataset], volume: Volume) -> None:
    """Check that the images have a place, and give all the directions of the first, of length 1.

    Where they lie on an even grid, they are told its spacing: readers that rebuild a volume where
    slices are missing go by it, and by the slices' thickness, often another, if it is not there.
    """
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    if not all(image.get(keyword) for image in images for keyword in (*needed, _SHARED[-1])):
        raise OutputError(
            f"The images of {volume.name} do not say where in the patient, or in which frame of "
            "reference, they lie.",
            _OTHER_FORMAT,
        )
    cosines = np.array([image.ImageOrientationPatient for image in images], float)
    cosines = cosines.reshape(-1, 2, 3)
    cosines /= np.linalg.norm(cosines, axis=2, keepdims=True)
    # In pixels at the far corner.
    if np.abs(cosines - cosines[0]).max() * math.hypot(*volume.shape[1:]) > _LARGEST_TURN:
        raise OutputError(
            f"The images of {volume.name} are not parallel, which a DICOM segmentation's are.",
            _OTHER_FORMAT,
        )
    normal = np.cross(*cosines[0])
    normal /= np.linalg.norm(normal)
    step = grid_step(np.array([image.ImagePositionPatient for image in images], float) @ normal)
    for image in images:
        put(image, "ImageOrientationPatient", [_decimal(c) for c in cosines[0].ravel()])
        if step is not None:
            put(image, "SpacingBetweenSlices", f"{step:.10g}")


def _decimal(number: float) -> str:
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(number))
