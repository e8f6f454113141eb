"""Images of every supported format as a Volume, and label maps on a volume's grid."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.completeness import is_complete
from GDLACore.imaging.dicom import read_dicom_file, read_dicom_folder
from GDLACore.imaging.dicom_header import is_dicom
from GDLACore.imaging.frames import frame_of
from GDLACore.imaging.nifti import is_nifti, read_nifti_header, with_non_finite
from GDLACore.imaging.pixels import damaged, load, open_header, pixels
from GDLACore.imaging.volume import Volume, ras_from_sitk

_LOG = logging.getLogger(__name__)

# Pictures are recognised by their first bytes, because they are often misnamed.
_PICTURES = {
    b"\x89PNG": "PNGImageIO",
    b"\xff\xd8\xff": "JPEGImageIO",
    b"BM": "BMPImageIO",
    b"II*\x00": "TIFFImageIO",
    b"MM\x00*": "TIFFImageIO",
}
_DOUBLE_SUFFIXES = (".nii.gz", ".seg.nrrd")
_PNG_GREY_WITH_ALPHA = 4
_MAX_DRIFT = 0.1  # voxels by which a label map's grid may differ from the image's


def read_volume(path: str | Path, *, series: str | None = None, frame: int | None = None) -> Volume:
    """Read a NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP or DICOM file or a DICOM folder.

    ``series`` chooses one of several DICOM series in a folder (its number in the list that the
    error shows, or its SeriesInstanceUID); ``frame``, from 0, one frame of a 4D image or of a film.
    A 2D image becomes a volume of one slice; an alpha channel is dropped; palettes become RGB.

    Raises VolumeError for everything that is not one grey or three-channel image.
    """
    path = Path(path)
    path = path if path.name else path.resolve()  # "." is named after the folder it is
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        # ITK ends the whole program over such a name.
        raise VolumeError(
            f"The name of {ascii(path.name)} is not valid UTF-8.", "Rename the file or folder."
        ) from None
    try:
        return _read(path, series, frame)
    except OSError as error:
        raise VolumeError(
            f"{path.name} cannot be opened: {error.strerror or error}.",
            "Check that it exists, and that you may read it.",
        ) from error


def _read(path: Path, series: str | None, frame: int | None) -> Volume:
    if not path.exists():
        raise VolumeError(f"There is no file or folder {path}.", "Check the path.")
    if path.is_dir():
        return read_dicom_folder(path, series, frame)
    if series is not None:
        raise VolumeError(
            f"{path.name} is one file; a series can be chosen in a folder only.",
            "Give the folder, or leave out the series option.",
        )
    if path.stat().st_size == 0:
        raise VolumeError(f"{path.name} is empty (0 bytes).", "Copy or export it again.")
    if is_dicom(path):
        return read_dicom_file(path, frame)
    return _read_file(path, frame)


def read_labels(path: str | Path, reference: Volume) -> np.ndarray:
    """Return a label map as [k, j, i] on the grid of ``reference``.

    The file may store the grid with other axis orders and directions, and only a part of it, as
    Slicer does for segmentations: what is missing is 0. Nothing is interpolated. Raises VolumeError
    if the label map's voxels are not voxels of ``reference``, or its values are not whole numbers.
    """
    return on_grid(read_volume(path), reference, Path(path).name)


def on_grid(labels: Volume, reference: Volume, name: str) -> np.ndarray:
    """Return the label map ``labels``, of the file ``name``, as [k, j, i] on ``reference``'s grid.

    As ``read_labels``, which raises the same.
    """
    array = _as_grey(labels)
    # From the file's (i, j, k) to the reference's: a signed permutation and an offset.
    step = np.linalg.solve(reference.ijk_to_ras, labels.ijk_to_ras)
    turn, start = np.rint(step[:3, :3]), np.rint(step[:3, 3])
    last = start + turn @ (np.array(array.shape[::-1]) - 1)
    low, high = np.minimum(start, last).astype(int), np.maximum(start, last).astype(int)
    inside = (low >= 0).all() and (high < reference.shape[::-1]).all()
    if not inside or not _is_permutation(turn) or _drift(step, array.shape) > _MAX_DRIFT:
        raise VolumeError(
            f"The label map {name} is not on the grid of {reference.name}.",
            "Resample it to the image's geometry first, with nearest-neighbour interpolation.",
        )
    source = np.abs(turn).argmax(axis=1)  # reference axis i, j, k <- axis of the file
    array = array.transpose([2 - source[axis] for axis in (2, 1, 0)])
    signs = [int(turn[axis, source[axis]]) for axis in (2, 1, 0)]
    result = np.zeros(reference.shape, dtype=array.dtype)
    part = tuple(slice(low[axis], high[axis] + 1) for axis in (2, 1, 0))
    result[part] = array[tuple(slice(None, None, sign) for sign in signs)]
    return result


def _is_permutation(turn: np.ndarray) -> bool:
    ones = np.ones(3)
    size = np.abs(turn)
    return np.array_equal(size.sum(axis=0), ones) and np.array_equal(size.sum(axis=1), ones)


def _drift(step: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how far, in voxels, the far corner misses a voxel: an error of spacing adds up."""
    offset = np.abs(step - np.rint(step))
    return float((offset[:3, :3] @ np.array(shape[::-1]) + offset[:3, 3]).max())


def _read_file(path: Path, frame: int | None) -> Volume:
    image_io = _picture_reader(path)
    reader = open_header(path, image_io)
    if not is_complete(path):
        raise damaged(path)
    if "complex" in SimpleITK.GetPixelIDValueAsString(reader.GetPixelID()):
        raise VolumeError(f"{path.name} holds complex numbers.", "Use the magnitude image instead.")
    matrix = ras_from_sitk(reader)
    frames = _frames(reader, path)
    if frames > 1:
        _extract(reader, frame_of(frame, frames, path.name))
    array = pixels(load(reader, path))
    dimension = min(reader.GetDimension(), 3) if frames > 1 else reader.GetDimension()
    channels = array.shape[dimension:]
    array = array.reshape(_spatial(array.shape[:dimension]) + channels)
    if frames == 1:
        array = _one_image(array, frame, path, image_io)
    if is_nifti(path) and (header := read_nifti_header(path)) is not None:
        array = with_non_finite(path, header, array, frame or 0)
        if not header.oriented:
            _LOG.warning(
                "%s does not say how it lies in the patient; left and right, front and back, and "
                "head and feet are assumed: check them.",
                path.name,
            )
    return Volume(array, matrix, _name(path))


def _picture_reader(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(26)
    image_io = next((io for magic, io in _PICTURES.items() if head.startswith(magic)), "")
    if image_io == "PNGImageIO" and head[25:] == bytes([_PNG_GREY_WITH_ALPHA]):
        raise VolumeError(
            f"{path.name} is a grey picture with transparency, which cannot be read.",
            "Save it without transparency, as grey or RGB.",
        )
    return image_io


def _frames(reader: SimpleITK.ImageFileReader, path: Path) -> int:
    """Return how many volumes the file holds along its fourth and further axes."""
    longer = [size for size in reader.GetSize()[3:] if size > 1]
    if len(longer) > 1:
        raise VolumeError(
            f"{path.name} has {reader.GetDimension()} dimensions.", "Export one 3D volume of it."
        )
    return longer[0] if longer else 1


def _extract(reader: SimpleITK.ImageFileReader, frame: int) -> None:
    """Tell the reader to load one volume only."""
    size = reader.GetSize()
    reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
    reader.SetExtractIndex([0, 0, 0, *(frame if length > 1 else 0 for length in size[3:])])


def _spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape as [k, j, i]: further axes of length 1 go, a missing slice axis comes."""
    return (1,) * max(0, 3 - len(shape)) + shape[-3:]


def _one_image(array: np.ndarray, frame: int | None, path: Path, image_io: str) -> np.ndarray:
    """Return grey [k, j, i] or colour [k, j, i, 3] from an array with any number of channels."""
    channels = array.shape[3] if array.ndim == 4 else 1
    if channels == 4 and array.dtype == np.uint8:
        _LOG.warning("%s: the transparency channel is ignored", path.name)
        array, channels = array[..., :3], 3
    if image_io == "BMPImageIO" and _has_palette(path) and _is_grey(array):
        array, channels = np.ascontiguousarray(array[..., 0]), 1  # BMP's only kind of grey
    if channels == 2 and frame is None:
        raise VolumeError(
            f"{path.name} has 2 channels; only grey and 3-channel colour images can be used.",
            "Choose one of its channels with frame=0 or frame=1 (--frame on the command line).",
        )
    if channels not in (1, 3):
        # Slicer stores a time sequence as the components of one volume.
        chosen = frame_of(frame, channels, path.name)
        return np.ascontiguousarray(array[..., chosen])
    if frame is not None and image_io and array.shape[0] > 1:
        return array[frame_of(frame, array.shape[0], path.name)][None]
    frame_of(frame if frame is not None else 0, 1, path.name)
    return array


def _has_palette(bmp: Path) -> bool:
    with bmp.open("rb") as file:
        return file.read(30)[28] <= 8  # bits per pixel


def _is_grey(array: np.ndarray) -> bool:
    return bool((array[..., :1] == array[..., 1:]).all())


def _as_grey(volume: Volume) -> np.ndarray:
    array = volume.array
    if array.ndim == 4:
        if not _is_grey(array):
            raise VolumeError(
                f"{volume.name} is a colour picture, not a label map.",
                "Use an image whose grey values are the label numbers.",
            )
        array = array[..., 0]
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int32)
        if not np.array_equal(whole, array):
            raise VolumeError(
                f"{volume.name} is not a label map: its values are not whole numbers.",
                "Use an image whose voxels are label numbers.",
            )
        array = whole
    return array


def _name(path: Path) -> str:
    for suffix in _DOUBLE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem
