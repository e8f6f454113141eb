"""Surfaces of masks as voxel centres, and how far two of them lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from GDLACore.errors import EvaluationError


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, ignored: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances from each surface to the other, float64 [m] and [n].

    A surface is the set of a mask's voxels of which a face neighbour is not in the mask; beyond the
    image is not in the mask, while an ``ignored`` voxel may be: where nobody annotated there is no
    surface. The distance of a voxel is that of its centre to the nearest voxel centre of the other
    surface. An axis of length 1 is no axis: a picture has outlines, and not two faces.

    All masks are bool of one shape, with as many values of ``spacing``; distances are in its unit.
    ``prediction`` and ``reference`` hold something, and no ignored voxel. Either surface may still
    be empty, where all around the mask is ignored: then there are no distances at all.
    Raises EvaluationError if MONAI is not installed.
    """
    axes = [axis for axis, length in enumerate(prediction.shape) if length > 1] or [0]
    flat = tuple(axis for axis in range(prediction.ndim) if axis not in axes)
    steps = [float(spacing[axis]) for axis in axes]
    prediction, reference, ignored = (
        np.squeeze(mask, flat) for mask in (prediction, reference, ignored)
    )
    box = _bounds(prediction | reference)
    unknown = _with_border(ignored, box)
    surfaces = [_surface(mask[box], unknown) for mask in (prediction, reference)]
    if not all(surface.any() for surface in surfaces):
        return np.empty(0), np.empty(0)
    return _distances(*surfaces, steps), _distances(*surfaces[::-1], steps)


def _bounds(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box around ``mask``; what is outside has no part in any distance."""
    bounds = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        used = np.flatnonzero(mask.any(axis=others))
        bounds.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(bounds)


def _with_border(ignored: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """Return ``ignored`` within ``box`` and the layer of voxels around it, False off the image."""
    inner = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    missing = [
        (int(side.start == 0), int(side.stop == length))
        for side, length in zip(box, ignored.shape, strict=True)
    ]
    return np.pad(ignored[inner], missing)


def _surface(mask: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Return the surface of ``mask``; ``unknown`` is larger by one voxel on every side."""
    perhaps = unknown.copy()
    inner = (slice(1, -1),) * mask.ndim
    perhaps[inner] |= mask
    return mask & ~ndimage.binary_erosion(perhaps)[inner]


def _distances(surface: np.ndarray, other: np.ndarray, steps: Sequence[float]) -> np.ndarray:
    check_monai()
    from monai.metrics import get_surface_distance

    return np.asarray(get_surface_distance(surface, other, "euclidean", steps), np.float64)


def check_monai() -> None:
    """Raise EvaluationError where MONAI, which measures the distances, is not installed."""
    try:
        import monai.metrics  # noqa: F401
    except ImportError as error:
        raise EvaluationError(
            "Scores need MONAI, which is not installed.",
            'Install the extra "train": pip install "GDLACore[train]"',
        ) from error
