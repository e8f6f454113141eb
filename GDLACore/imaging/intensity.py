"""Intensity profiles: grey values as the published models were trained on them.

All functions take stored values and return new float32 arrays. What a profile must know about the
whole volume is computed once, block by block, so that a large CT costs no second copy of itself.
A voxel that is NaN, infinite or outside the range of float32 counts as not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from GDLACore.model.card import IntensityProfile

Normaliser = Callable[[np.ndarray], np.ndarray]

_BLOCK = 1 << 18  # voxels: 2 MB as float64, within a processor's cache
_MINMAX_EPS = 1e-8  # the published colour protocol's guard against constant images


def normaliser(profile: IntensityProfile, array: np.ndarray) -> Normaliser:
    """Return the function that turns slices of ``array``, of any shape and type, into float32.

    ``profile.kind``:

    - "ct_window": clip to [lower, upper], then (x - lower) / (upper - lower).
    - "zscore_volume": (x - mean) / standard deviation over the volume.
    - "minmax_volume": (x - minimum) / (maximum - minimum) over the volume.
    - "minmax_image": unchanged here; ``minmax_images`` comes after resampling.
    - "none": unchanged.

    Statistics are taken over the finite voxels of ``array``; others become the window's floor, or
    the finite minimum. A constant volume becomes 0. Raises ValueError for an unknown kind.
    """
    if profile.kind == "ct_window":
        return _window(float(profile.lower), float(profile.upper))
    if profile.kind == "zscore_volume":
        floor, _, mean = _range_and_mean(array)
        return _linear(floor, mean, _deviation(array, mean))
    if profile.kind == "minmax_volume":
        floor, ceiling, _ = _range_and_mean(array)
        return _linear(floor, floor, ceiling - floor)
    if profile.kind in ("minmax_image", "none"):
        return _unchanged(_range_and_mean(array).minimum if array.dtype.kind == "f" else 0.0)
    raise ValueError(f"unknown intensity profile {profile.kind!r}")


def count_non_finite(array: np.ndarray) -> int:
    """Return how many voxels are NaN, infinite or beyond float32, without copying the volume."""
    if array.dtype.kind != "f":
        return 0
    return sum(block.size - int(np.isfinite(block).sum()) for block in _blocks(array))


def minmax_images(slices: np.ndarray) -> np.ndarray:
    """Return slices [n, c, h, w] scaled to [0, 1] image by image, over all channels, as float32.

    (x - min) / (max - min + 1e-8), the published protocol of the colour data sets; it follows the
    resampling. A constant image becomes 0.
    """
    slices = np.asarray(slices, dtype=np.float32)
    minimum = slices.min(axis=(1, 2, 3), keepdims=True)
    extent = slices.max(axis=(1, 2, 3), keepdims=True) - minimum
    return (slices - minimum) / (extent + np.float32(_MINMAX_EPS))


class _Range(NamedTuple):
    minimum: float
    maximum: float
    mean: float


def _window(lower: float, upper: float) -> Normaliser:
    def normalise(slices: np.ndarray) -> np.ndarray:
        values = _float32(slices, lower)
        np.clip(values, lower, upper, out=values)
        values -= np.float32(lower)
        values /= np.float32(upper - lower)
        return values

    return normalise


def _linear(floor: float, offset: float, scale: float) -> Normaliser:
    divisor = np.float32(scale) or np.float32(1.0)  # a constant image has no extent

    def normalise(slices: np.ndarray) -> np.ndarray:
        values = _float32(slices, floor)
        values -= np.float32(offset)
        values /= divisor
        return values

    return normalise


def _unchanged(floor: float) -> Normaliser:
    return lambda slices: _float32(slices, floor)


def _float32(slices: np.ndarray, floor: float) -> np.ndarray:
    """Return a C-ordered float32 copy in which every voxel is finite."""
    with np.errstate(over="ignore"):
        values = np.array(slices, dtype=np.float32, order="C")
    if slices.dtype.kind == "f":
        values[~np.isfinite(values)] = floor
    return values


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield all voxels as flat blocks of at most about _BLOCK values; real numbers as float32."""
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        pieces = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
    else:
        pieces = (slab.reshape(-1) for slab in array)
    for piece in pieces:
        with np.errstate(over="ignore"):
            yield piece.astype(np.float32, copy=False) if array.dtype.kind == "f" else piece


def _range_and_mean(array: np.ndarray) -> _Range:
    """Return minimum, maximum and mean of the finite voxels (0, 0, 0 if there are none)."""
    count, total, minimum, maximum = 0, 0.0, np.inf, -np.inf
    for block in _blocks(array):
        finite = _finite(block)
        if finite.size:
            count += finite.size
            total += float(finite.sum(dtype=np.float64))
            minimum = min(minimum, float(finite.min()))
            maximum = max(maximum, float(finite.max()))
    return _Range(minimum, maximum, total / count) if count else _Range(0.0, 0.0, 0.0)


def _deviation(array: np.ndarray, mean: float) -> float:
    """Return the standard deviation of the finite voxels about ``mean``."""
    count, squares = 0, 0.0
    for block in _blocks(array):
        centred = _finite(block).astype(np.float64)
        centred -= mean
        count += centred.size
        squares += float(centred @ centred)
    return float(np.sqrt(squares / count)) if count else 0.0


def _finite(block: np.ndarray) -> np.ndarray:
    return block[np.isfinite(block)] if block.dtype.kind == "f" else block
