"""The order and the geometry of DICOM slices, from their positions in the patient."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom_header import Plane
from GDLACore.imaging.volume import ras_from_lps

_LOG = logging.getLogger(__name__)

_PARALLEL = 0.999  # smallest cosine between slices of one stack (2.5 degrees)
_FLAT = 1e-3  # sine of the angle between row and column, below which they are one direction
_SAME_PLACE_MM = 1e-3
_TOLERANCE = 0.01  # of the slice spacing: positions further from an even grid are reported
_SPARSEST_GRID = 4.0  # mean step, in steps of the grid: two slices may be close by chance


def positions_along_normal(planes: Sequence[Plane], name: str) -> np.ndarray:
    """Return the distance of each slice along the stack's normal in mm.

    Raises VolumeError if the slices are not parallel or their pixels differ in size, as in a
    series that holds its own localizer, or if one of them lies nowhere.
    """
    for plane in planes:
        _check_place(plane, name)
    first = planes[0]
    normal = _normal(first)
    for plane in planes:
        parallel = min(first.along_row @ plane.along_row, normal @ _normal(plane))
        if parallel < _PARALLEL:
            raise VolumeError(
                f"{name} mixes slices of different orientations (a localizer among them?).",
                "Put the slices of one orientation into a folder of their own.",
            )
        if not np.allclose(plane.spacing, first.spacing, rtol=1e-3):
            raise VolumeError(
                f"{name} mixes slices of different pixel sizes.",
                "Put the slices of one reconstruction into a folder of their own.",
            )
    return np.array([normal @ plane.position for plane in planes])


def group_by_position(distances: np.ndarray, name: str) -> list[list[int]]:
    """Return the images at each slice position, positions ascending along the normal.

    Every position holds the same number of images: 1, or the number of frames of a 4D series.
    Raises VolumeError if they differ.
    """
    groups: list[list[int]] = []
    previous = -np.inf
    for index in np.argsort(distances, kind="stable"):
        if distances[index] - previous > _SAME_PLACE_MM:
            groups.append([])
        groups[-1].append(int(index))
        previous = distances[index]
    sizes = sorted({len(group) for group in groups})
    if len(sizes) > 1:
        raise VolumeError(
            f"{name} has between {sizes[0]} and {sizes[-1]} images at one slice position.",
            "Put the images of one volume into a folder of their own.",
        )
    return groups


def stack_geometry(planes: Sequence[Plane], name: str) -> np.ndarray:
    """Return ``ijk_to_ras`` of slices in ascending order.

    The slice axis is the normal and the spacing the mean one, as in ITK and 3D Slicer. A warning is
    logged where the real positions differ from that by more than 1 % of the spacing: slices missing
    or unevenly spaced, or a tilted gantry.
    """
    first = planes[0]
    normal = _normal(first)
    if len(planes) == 1:
        spacing = first.thickness
    else:
        steps = np.diff([plane.position for plane in planes], axis=0)
        spacing = float((steps @ normal).mean())
        _warn_of_gaps(steps @ normal, name)
        _warn_of_shift(steps, normal, spacing, name)
    columns = np.stack(
        [
            first.along_row * first.spacing[0],
            first.along_column * first.spacing[1],
            normal * spacing,
        ],
        axis=1,
    )
    return ras_from_lps(first.position, columns)


def grid_step(distances: np.ndarray) -> float | None:
    """Return the spacing, in mm, of an even grid that the ascending ``distances`` lie on.

    Slices may be missing. None if the slices lie elsewhere by more than 1 % of the shortest step,
    if most slices of that grid were missing, or if there is one slice only.
    """
    steps = np.diff(distances)
    if steps.size == 0:
        return None
    # Which slice of the grid each is; the places decide, because their rounding adds up in steps.
    numbers = np.cumsum([0, *np.rint(steps / steps.min())])
    step = float(steps.sum() / numbers[-1])
    off = np.abs(distances - distances[0] - numbers * step).max()
    if off > _TOLERANCE * step or numbers[-1] > _SPARSEST_GRID * steps.size:
        return None
    return step


def _check_place(plane: Plane, name: str) -> None:
    """Check that ``plane`` has a place, two directions, and pixels with a size."""
    numbers = [*plane.position, *plane.along_row, *plane.along_column, *plane.spacing]
    square = np.linalg.norm(np.cross(plane.along_row, plane.along_column))
    if not (np.isfinite(numbers).all() and min(plane.spacing) > 0 and square > _FLAT):
        raise VolumeError(
            f"{name} has a slice without a valid place: ImagePositionPatient, "
            "ImageOrientationPatient or PixelSpacing are zero, negative or no numbers.",
            "Export the series again, or take the slice out of the folder.",
        )


def _normal(plane: Plane) -> np.ndarray:
    normal = np.cross(plane.along_row, plane.along_column)
    return normal / np.linalg.norm(normal)


def _warn_of_gaps(steps: np.ndarray, name: str) -> None:
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > _TOLERANCE * usual)
    if uneven.size == 0:
        return
    worst = int(uneven[np.argmax(np.abs(steps[uneven] - usual))])
    _LOG.warning(
        "%s: slices are not evenly spaced (%d of %d gaps): slices %d and %d are %.2f mm apart, "
        "usual are %.2f mm; a slice may be missing and volumes in mL are approximate",
        name,
        uneven.size,
        steps.size,
        worst + 1,
        worst + 2,
        steps[worst],
        usual,
    )


def _warn_of_shift(steps: np.ndarray, normal: np.ndarray, spacing: float, name: str) -> None:
    sideways = np.linalg.norm(steps - np.outer(steps @ normal, normal), axis=1)
    mean = float(np.linalg.norm((steps - np.outer(steps @ normal, normal)).mean(axis=0)))
    if sideways.max() > _TOLERANCE * spacing:
        _LOG.warning(
            "%s: slices are shifted sideways by up to %.2f mm each (gantry tilt about %.1f "
            "degrees); the volume is treated as if they were not",
            name,
            sideways.max(),
            np.degrees(np.arctan2(mean, spacing)),
        )
