"""SimpleITK's pixels as numpy arrays without a copy, and its failures as ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import check_geometry, ras_from_sitk


def reader_of(path: Path, image_io: str) -> SimpleITK.ImageFileReader:
    """Return a reader of ``path`` that has read nothing yet.

    ``image_io`` names one of SimpleITK's formats, or is empty where the file's suffix decides.
    """
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(image_io)
    return reader


def open_header(path: Path, image_io: str) -> SimpleITK.ImageFileReader:
    """Return a reader that has read the header of ``path``.

    Raises VolumeError if the file is no image or its geometry is not one.
    """
    reader = reader_of(path, image_io)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        known = image_io != ""  # then its first bytes have shown what it is
        raise damaged(path) if known else _header_error(path, str(error)) from error
    check_geometry(ras_from_sitk(reader), path.name)
    return reader


def load(reader: SimpleITK.ImageFileReader, path: Path) -> SimpleITK.Image:
    """Return the image of ``reader``. Raises VolumeError if its pixels cannot be decoded."""
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise damaged(path) from error


def pixels(image: SimpleITK.Image) -> np.ndarray:
    """Return the pixels as [(t, k,) j, i] with channels last: read-only and not copied."""
    return np.asarray(_Pixels(image))


def damaged(path: Path) -> VolumeError:
    """Return the error for an image whose pixels are not all there."""
    detached = path.suffix.lower() in (".mhd", ".nhdr")
    return VolumeError(
        f"{path.name} is damaged or cut off: its pixels cannot be read completely.",
        "Keep its data file beside it, whole and unrenamed."
        if detached
        else "Copy or export it again.",
    )


class _Pixels:
    """numpy's view of an image's buffer; the array's base is this object and keeps the image alive.

    ``SimpleITK.GetArrayViewFromImage`` alone leaves a view of freed memory once the image is gone.
    """

    def __init__(self, image: SimpleITK.Image) -> None:
        self._image = image
        self.__array_interface__ = SimpleITK.GetArrayViewFromImage(image).__array_interface__


def _header_error(path: Path, reason: str) -> VolumeError:
    if "orthonormal" in reason:
        return VolumeError(
            f"The axes of {path.name} are sheared or singular, which NIfTI readers refuse.",
            "Open it in 3D Slicer and save it again as NRRD.",
        )
    if "open the first datafile" in reason:
        return damaged(path)
    return VolumeError(
        f"{path.name} is not an image that can be read, or its header is damaged.",
        "Use NIfTI (.nii, .nii.gz), NRRD, MHA/MHD, PNG, JPEG, TIFF, BMP or DICOM, with its suffix.",
    )
