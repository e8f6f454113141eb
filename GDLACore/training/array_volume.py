"""Cases in ``.npz`` and ``.h5`` files, as the published Synapse and ACDC data are handed around."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.volume import Volume
from GDLACore.training.file_hash import sha256

IMAGE_NAMES = ("image", "img")
LABEL_NAMES = ("label", "mask")

_SMALLEST_SLICE = 16  # pixels: an axis shorter than this counts slices
_AGAIN = "Copy or download the file again."
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class ArrayForm:
    """What stored arrays mean.

    An image's values are ``slope * stored + intercept``, of stored values within ``stored_range``
    if that is known. ``ijk_to_ras`` places [k, j, i] in the patient; such files keep no spacing, so
    a voxel is 1 mm wide.
    """

    name: str
    ijk_to_ras: tuple[tuple[float, ...], ...]
    slope: float = 1.0
    intercept: float = 0.0
    stored_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class ArrayVolume:
    """A volume in one file, or in one file for each of its slices.

    Its label values are the class numbers. A case to learn from is one slice of it, ``slices``, so
    that an epoch shows every slice once, while normalisation still sees the volume.
    """

    id: str
    patient: str
    files: tuple[Path, ...]
    form: ArrayForm
    slices: tuple[int, int] | None = None
    weight: float = 1.0
    unknown: frozenset[str] = frozenset()
    validation_slices: tuple[int, int] | None = None
    spacing_known: bool = field(default=False, init=False)

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the image, [k, j, i], and its class indices, uint8.

        Raises TrainingError, naming the file, if it cannot be read, if arrays are missing or of
        other shapes than one another, or if their values cannot be an image's and its labels'.
        """
        images, labels = [], []
        for file in self.files:
            image, label = (_slices(array, file) for array in _read_pair(file))
            _check_pair(image, label, file, self.form, len(names))
            if images and image.shape[1:] != images[0].shape[1:]:
                raise TrainingError(
                    f"The slice {file} is {_size(image)}, but {self.files[0].name} of the same "
                    f"volume is {_size(images[0])}."
                )
            images.append(image)
            labels.append(label.astype(np.uint8))
        array = np.concatenate(images) if len(images) > 1 else images[0]
        if (self.form.slope, self.form.intercept) != (1.0, 0.0):
            array = array * np.float32(self.form.slope) + np.float32(self.form.intercept)
        volume = Volume(np.ascontiguousarray(array), np.array(self.form.ijk_to_ras), self.id)
        return volume, np.concatenate(labels)

    def description(self) -> dict[str, Any]:
        """Return what the case teaches; ``files`` is one hash of all of them."""
        hashes = "".join(sha256(file) for file in self.files)
        return {
            "patient": self.patient,
            "layout": self.form.name,
            "files": hashlib.sha256(hashes.encode()).hexdigest(),
            "slices": self.slices,
        }

    def depth(self) -> int:
        """Return the number of slices, from a file's header where that is enough.

        Raises TrainingError as ``read`` does.
        """
        if len(self.files) > 1:
            return len(self.files)
        file = self.files[0]
        shape = _from_file(file, lambda arrays: arrays[_named(arrays, IMAGE_NAMES, file)].shape)
        return shape[0] if len(shape) == 3 else 1


def _read_pair(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays of image and label in ``file``."""

    def pair(arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        image, label = (_named(arrays, names, file) for names in (IMAGE_NAMES, LABEL_NAMES))
        return arrays[image][()], arrays[label][()]

    return _from_file(file, pair)


def _from_file(file: Path, reading: Callable[[Mapping[str, Any]], Any]) -> Any:
    """Return ``reading`` of the arrays in ``file``, by name."""
    if not file.is_file():
        raise TrainingError(f"There is no file {file}.", "Check the path.")
    opened = _open_npz if file.name.lower().endswith(".npz") else _open_h5
    try:
        with opened(file) as arrays:
            return reading(arrays)
    except _UNREADABLE as error:
        if "allow_pickle" in str(error) and file.suffix.lower() == ".npz":
            raise TrainingError(
                f"{file} holds Python objects instead of arrays of numbers, which are not read.",
                "Save the image and the label as arrays of numbers.",
            ) from error
        raise TrainingError(
            f"{file} is damaged or cut off: its arrays cannot be read.", _AGAIN
        ) from error


def _open_npz(file: Path) -> Any:
    # A pickle runs any program it holds.
    with file.open("rb") as start:
        if start.read(2) != b"PK":
            raise zipfile.BadZipFile
    return np.load(file, allow_pickle=False)


def _open_h5(file: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise TrainingError(
            f"{file} is an HDF5 file, and the package h5py, which reads those, is not installed.",
            "Install it: pip install h5py.",
        ) from error
    # Nobody writes to it, and locks fail on many network drives.
    return h5py.File(file, "r", locking=False)


def _named(arrays: Mapping[str, Any], names: tuple[str, ...], file: Path) -> str:
    for name in names:
        if name in arrays:
            if not hasattr(arrays[name], "shape"):
                break  # a folder of an HDF5 file
            return name
    found = ", ".join(sorted(map(str, arrays))) or "nothing"
    raise TrainingError(
        f"{file} has no array named {' or '.join(names)}; it holds {found}.",
        "Check that the file belongs to this data set.",
    )


def _slices(array: np.ndarray, file: Path) -> np.ndarray:
    """Return ``array`` as [k, j, i] if it is a slice or slices of numbers."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        raise TrainingError(
            f"{file} holds something other than numbers.",
            "Save the image and the label as arrays of numbers.",
        )
    if (
        array.ndim not in (2, 3)
        or min(array.shape[-2:]) < _SMALLEST_SLICE
        or array.size == 0
        or (array.ndim == 3 and _slices_last(*array.shape))
    ):
        raise TrainingError(
            f"An array in {file} has the shape {array.shape}, which is neither [rows, columns] "
            "nor [slices, rows, columns].",
            "Save it in this order of axes.",
        )
    return array[None] if array.ndim == 2 else array


def _slices_last(first: int, second: int, third: int) -> bool:
    """Return whether the shape looks like [rows, columns, slices]: slices are square, or large."""
    return first == second != third or 2 * third < min(first, second)


def _check_pair(
    image: np.ndarray, label: np.ndarray, file: Path, form: ArrayForm, structures: int
) -> None:
    if image.shape != label.shape:
        raise TrainingError(
            f"Image and label in {file} have different shapes, {image.shape} and {label.shape}."
        )
    if not np.isfinite(image).all():
        raise TrainingError(
            f"The image in {file} has values that are no finite numbers.",
            "Prepare the file again without them.",
        )
    if form.stored_range is not None:
        low, high = form.stored_range
        if image.min() < low - 1e-3 or image.max() > high + 1e-3:
            raise TrainingError(
                f"The image in {file} has values from {image.min():g} to {image.max():g}, where "
                f"{form.name} has {low:g} to {high:g}.",
                "Clip the CT to -125 to 275 HU and scale it to that range, as published, or train "
                "from NIfTI or NRRD files of the CT.",
            )
    if label.dtype.kind == "f" and not (label == np.rint(label)).all():
        raise TrainingError(
            f"The label in {file} has values that are not whole numbers.",
            "Resample labels with nearest-neighbour interpolation only.",
        )
    if label.min() < 0 or label.max() > structures:
        raise TrainingError(
            f"The label in {file} has the value "
            f"{label.min() if label.min() < 0 else label.max():g}, "
            f"but the structures are numbered 1 to {structures}.",
            "Check `structures` in the dataset file.",
        )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[2]}"
