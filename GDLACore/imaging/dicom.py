"""DICOM files and folders as volumes.

pydicom reads the headers, which decide on series, order and geometry; SimpleITK (GDCM) decodes the
pixels of every transfer syntax, applies rescale slope and intercept and turns YBR and palettes into
RGB.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom_header import Header, read_header
from GDLACore.imaging.dicom_series import (
    chosen_series,
    headers_below,
    headers_in,
    headers_of,
    series_among,
)
from GDLACore.imaging.frames import frame_of
from GDLACore.imaging.pixels import load, open_header, pixels, reader_of
from GDLACore.imaging.slice_stack import (
    group_by_position,
    positions_along_normal,
    stack_geometry,
)
from GDLACore.imaging.volume import DicomFrame, Volume, ras_from_lps, ras_from_sitk

_LOG = logging.getLogger(__name__)

_GDCM = "GDCMImageIO"


def read_dicom_file(path: Path, frame: int | None) -> Volume:
    """Read one DICOM file: a slice, a picture, an enhanced volume, or a film as slices of 1 mm.

    ``frame`` chooses one picture of a film, or one volume of an enhanced 4D file. Raises
    VolumeError if the file holds no image or is damaged.
    """
    header = read_header(path)
    if header is None:
        raise VolumeError(
            f"{path.name} is a DICOM file without an image (a report, contours, an index, …).",
            "Give the image file, or the folder of the series.",
        )
    return _read_one(header, frame, path.stem)


def read_dicom_folder(folder: Path, series: str | None, frame: int | None) -> Volume:
    """Read the one series in ``folder`` (or, if it has no DICOM file itself, in its subfolders).

    ``series`` chooses by number in the list of the error message, or by SeriesInstanceUID. Raises
    VolumeError if there is no DICOM image, several series and no choice, or no volume in a series.
    """
    headers = headers_in(folder) or headers_below(folder)
    if not headers:
        raise VolumeError(
            f"The folder {folder.name} contains no DICOM images.",
            "Give the folder of a DICOM series, or the image file itself.",
        )
    return _read_series(chosen_series(headers, series, folder.name), frame, folder.name)


def find_series(folder: Path) -> list[list[Header]]:
    """Return the files of each image series in ``folder`` itself, numbered as they are chosen.

    Raises VolumeError if the folder or one of the files cannot be read.
    """
    return series_among(headers_in(folder))


def read_dicom_series(files: Iterable[Path], name: str) -> Volume:
    """Read one series of which ``files`` are all; raise VolumeError as ``read_dicom_folder``.

    That is also where one of them is not, or no longer, an image of the series.
    """
    return _read_series(headers_of(files, name), None, name)


def _read_series(headers: list[Header], frame: int | None, name: str) -> Volume:
    if len(headers) == 1:
        return _read_one(headers[0], frame, name)
    return _read_stack(headers, frame, name)


def _read_one(header: Header, frame: int | None, name: str) -> Volume:
    if header.rescales > 1:
        # GDCM would apply the first frame's to all.
        raise VolumeError(
            f"The frames of {header.path.name} have rescale slopes and intercepts of their own.",
            "Export the series as one file per image.",
        )
    reader = open_header(header.path, _GDCM)
    matrix = ras_from_sitk(reader)
    array = _values(reader, header)
    order = list(range(array.shape[0]))
    if len(header.planes) == array.shape[0] == header.frames:
        groups = group_by_position(positions_along_normal(header.planes, name), name)
        order = _one_per_position(groups, frame, name)
        matrix = stack_geometry([header.planes[index] for index in order], name)
        if order != list(range(array.shape[0])):
            array = array[order]
    elif frame is not None:
        order = [frame_of(frame, array.shape[0], name)]
        array = array[order[0] : order[0] + 1]
    return Volume(array, matrix, name, header.modality, _frames(header, order))


def _read_stack(headers: list[Header], frame: int | None, name: str) -> Volume:
    headers = _without_copies(headers, name)
    shapes = sorted({header.shape for header in headers})
    if len(shapes) > 1:
        sizes = ", ".join(f"{columns}x{rows}" for rows, columns in shapes)
        raise VolumeError(
            f"The series in {name} mixes images of different sizes ({sizes}).",
            "Put the images of one volume into a folder of their own.",
        )
    # At one position the time, echo or number decides which frame an image belongs to.
    headers = sorted(headers, key=lambda header: header.order)
    planes = [header.planes[0] for header in headers if header.planes]
    if len(planes) == len(headers):
        groups = group_by_position(positions_along_normal(planes, name), name)
        order = _one_per_position(groups, frame, name)
        matrix = stack_geometry([planes[index] for index in order], name)
        headers = [headers[index] for index in order]
        _warn_of_interleaving([header.acquisition for header in headers], name)
    else:
        _LOG.warning("%s: slices have no position and are ordered by their numbers", name)
        matrix = _unplaced(headers[0])
    frames = tuple(frame for header in headers for frame in _frames(header, [0]))
    return Volume(_read_slices(headers), matrix, name, headers[0].modality, frames)


def _warn_of_interleaving(acquisitions: Sequence[float], name: str) -> None:
    """Warn where slices of one acquisition, in the order of their places, hold those of another."""
    runs = sum(1 for _ in itertools.groupby(acquisitions))
    count = len(set(acquisitions))
    if runs > count:
        _LOG.warning(
            "%s: slices of %d acquisitions lie between one another and are taken as one volume; if "
            "they are scans of their own, put each into a folder of its own",
            name,
            count,
        )


def _frames(header: Header, indices: Sequence[int]) -> tuple[DicomFrame, ...]:
    return tuple(
        DicomFrame(header.path, index + 1, header.instance_uid, header.stamp) for index in indices
    )


def _one_per_position(groups: list[list[int]], frame: int | None, name: str) -> list[int]:
    count = len(groups[0])
    if frame is None and count == 1:
        return [group[0] for group in groups]
    chosen = frame_of(frame, count, name)
    return [group[chosen] for group in groups]


def _without_copies(headers: list[Header], name: str) -> list[Header]:
    """Drop second copies of the same image. Empty identifiers say nothing and are all kept.

    Raises VolumeError if different images have the same identifier.
    """
    kept: dict[str, Header] = {}
    for header in headers:
        first = kept.setdefault(header.instance_uid or str(header.path), header)
        if first is not header and not _same_image(first, header):
            raise VolumeError(
                f"Different images of {name} have the same UID: {first.path.name} and "
                f"{header.path.name}, among others.",
                "Export the series again, with a SOPInstanceUID for each image.",
            )
    if len(kept) < len(headers):
        _LOG.warning("%d copies of images in the folder are left out", len(headers) - len(kept))
    return list(kept.values())


def _same_image(first: Header, second: Header) -> bool:
    if (first.shape, first.order) != (second.shape, second.order):
        return False
    places = [[plane.position for plane in header.planes] for header in (first, second)]
    values = [_values(reader_of(header.path, _GDCM), header) for header in (first, second)]
    return np.array_equal(*places) and np.array_equal(*values, equal_nan=True)


def _unplaced(header: Header) -> np.ndarray:
    return ras_from_lps(np.zeros(3), np.diag(open_header(header.path, _GDCM).GetSpacing()))


def _read_slices(headers: list[Header]) -> np.ndarray:
    """Return the slices as one array, [k, j, i] or [k, j, i, c], holding no second copy of it.

    GDCM chooses each slice's type by its own rescale slope; where they differ (PET), all slices
    take the type that holds them all.
    """
    volume: np.ndarray | None = None
    for index, header in enumerate(headers):
        # The geometry comes from all positions together: each file's own is not looked at.
        slice_ = _values(reader_of(header.path, _GDCM), header)[0]
        if volume is None:
            volume = np.empty((len(headers), *slice_.shape), dtype=slice_.dtype)
        elif volume.dtype != slice_.dtype:
            volume = volume.astype(np.result_type(volume, slice_), copy=False)
        volume[index] = slice_
    assert volume is not None
    return volume


def _values(reader: SimpleITK.ImageFileReader, header: Header) -> np.ndarray:
    """Return the frames of one file, [k, j, i] or [k, j, i, c].

    GDCM gives 64 bits wherever the rescale slope is fractional; stored values of 16 bits need 32.
    """
    array = pixels(load(reader, header.path))
    return array.astype(np.float32) if array.dtype == np.float64 else array
