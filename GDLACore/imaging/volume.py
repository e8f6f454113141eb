"""An image with its place in the patient, and the only conversion between RAS and LPS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.errors import VolumeError

if TYPE_CHECKING:
    import SimpleITK

# Files and SimpleITK say LPS, Slicer and GDLACore say RAS: the first two axes change sign.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class DicomFrame:
    """One picture of a DICOM file: the file's ``number``th, from 1, as DICOM counts.

    ``instance_uid`` is what the file called itself when it was read, empty if it did not;
    ``stamp`` was its size in bytes and the time of its last change in ns.
    """

    path: Path
    number: int
    instance_uid: str = field(repr=False)
    stamp: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Volume:
    """A grey or colour image on a grid in patient space.

    ``array`` is indexed ``[k, j, i]`` (grey) or ``[k, j, i, c]`` with c = 3 (colour), in the type
    and the order in which it is stored; it may be read-only. ``ijk_to_ras`` (4x4, mm) maps
    ``(i, j, k, 1)`` to RAS. ``modality`` is the DICOM code ("CT", "MR", "US", ...) where known.
    ``frames`` are the pictures that the slices along k were read from, pixel for pixel, or empty if
    they are not from DICOM: what is written as DICOM refers to them.

    Raises VolumeError if the array is empty, not numeric or of another rank, if it has a number of
    channels other than three, or if the matrix is not an invertible affine map.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    name: str
    modality: str | None = None
    frames: tuple[DicomFrame, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        matrix.setflags(write=False)
        object.__setattr__(self, "ijk_to_ras", matrix)
        _check_array(self.array, self.name)
        check_geometry(matrix, self.name)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along k, j and i."""
        return self.array.shape[:3]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along i, j and k in mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return 1 if self.array.ndim == 3 else self.array.shape[3]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0


def sitk_geometry(
    ijk_to_ras: np.ndarray,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return origin (LPS, mm), spacing (mm; i, j, k) and direction (nine cosines, row by row).

    Writers need these three. A shear cannot be expressed by them: the columns are normalised one by
    one and written as they are.
    """
    lps = _LPS_TO_RAS @ np.asarray(ijk_to_ras, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    return tuple(lps[:3, 3].tolist()), tuple(spacing.tolist()), tuple(direction.ravel().tolist())


def ras_from_lps(origin: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return ``ijk_to_ras`` from the first voxel's position and the steps along i, j, k in LPS.

    ``origin`` has shape [3] and ``columns`` [3, 3], one step per column, in mm.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = _LPS_TO_RAS[:3, :3] @ columns
    matrix[:3, 3] = _LPS_TO_RAS[:3, :3] @ origin
    return matrix


def ras_from_sitk(image: SimpleITK.Image | SimpleITK.ImageFileReader) -> np.ndarray:
    """Return the 4x4 ``ijk_to_ras`` (mm) of a SimpleITK image, or of a reader that read a header.

    Axes beyond the third are ignored; a two-dimensional image lies in the axial plane z = 0.
    """
    dimension = image.GetDimension()
    used = min(dimension, 3)
    origin, columns = np.zeros(3), np.eye(3)
    direction = np.reshape(image.GetDirection(), (dimension, dimension))[:used, :used]
    columns[:used, :used] = direction * np.asarray(image.GetSpacing()[:used])
    origin[:used] = image.GetOrigin()[:used]
    return ras_from_lps(origin, columns)


def check_geometry(matrix: np.ndarray, name: str) -> None:
    """Raise VolumeError unless ``matrix`` is a 4x4 affine map with three independent axes.

    The volume of a voxel is a number that can be written, too.
    """
    if matrix.shape != (4, 4) or not np.array_equal(matrix[3:], [[0.0, 0.0, 0.0, 1.0]]):
        raise VolumeError(f"The geometry of {name} is not a 4x4 affine matrix of mm.")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    with np.errstate(all="ignore"):
        voxel = np.linalg.det(matrix[:3, :3])
    usable = np.isfinite(matrix).all() and np.isfinite(voxel) and lengths.min() > 0
    # The determinant of the unit columns is their box's volume: 0 where two axes coincide.
    if not usable or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-3:
        raise VolumeError(
            f"The geometry of {name} is singular: its axes do not span space.",
            "Correct the spacing and the directions in the file's header, or export it again.",
        )


def _check_array(array: np.ndarray, name: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        kind = getattr(array, "dtype", type(array).__name__)
        raise VolumeError(
            f"{name} holds values of type {kind}, which are not grey values or colours.",
            "Use an image of whole or real numbers.",
        )
    if array.ndim not in (3, 4):
        raise VolumeError(
            f"{name} has {array.ndim} dimensions.",
            "Use a 2D image, a 3D volume or a colour image.",
        )
    if array.size == 0:
        raise VolumeError(f"{name} has no voxels (size {array.shape}).", "Export the image again.")
    if array.ndim == 4 and array.shape[3] != 3:
        raise VolumeError(
            f"{name} has {array.shape[3]} values per voxel; only grey images and 3-channel colour "
            "images can be segmented.",
            "Choose one of its channels or frames.",
        )
