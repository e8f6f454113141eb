"""Resampling of one image axis as a constant matrix.

A separable resampling of a slice X is ``A @ X @ B.T``: two small matrix products that give, to
rounding, what scipy or torch give, on whatever device the network runs. All functions take the
number of samples before and after and return read-only arrays, computed once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

_CACHED = 64
_COLUMNS_AT_ONCE = 256  # bounds the memory for photographs with thousands of rows


@lru_cache(maxsize=_CACHED)
def spline_matrix(n_in: int, n_out: int) -> np.ndarray:
    """Return the float64 [n_out, n_in] matrix of ``scipy.ndimage.zoom(order=3)`` along one axis.

    The published protocol: cubic B-spline with prefilter, mirrored border, corner samples aligned.
    The columns are scipy's own answers to unit impulses, so its quirk is kept too: where rounding
    puts the last coordinate outside the image (512 -> 224), the last row is zero.
    """
    matrix = np.empty((n_out, n_in))
    for start in range(0, n_in, _COLUMNS_AT_ONCE):
        stop = min(start + _COLUMNS_AT_ONCE, n_in)
        impulses = np.eye(n_in, stop - start, -start)
        matrix[:, start:stop] = ndimage.zoom(impulses, (n_out / n_in, 1), order=3)
    return _frozen(matrix)


@lru_cache(maxsize=_CACHED)
def nearest_indices(n_in: int, n_out: int) -> np.ndarray:
    """Return, as intp [n_out], the sample that ``scipy.ndimage.zoom(order=0)`` takes, or -1.

    -1 stands where scipy gives 0 because rounding puts the coordinate outside the image.
    """
    numbered = np.arange(1, n_in + 1, dtype=np.float64)
    return _frozen(ndimage.zoom(numbered, n_out / n_in, order=0).astype(np.intp) - 1)


@lru_cache(maxsize=_CACHED)
def antialias_matrix(n_in: int, n_out: int) -> np.ndarray:
    """Return the float64 [n_out, n_in] matrix of torch's bilinear resize with ``antialias=True``.

    The protocol of the colour data sets (torchvision ``Resize``): pixel centres at half-integers
    and a triangle filter that widens with the reduction, renormalised at the border.
    """
    scale = n_in / n_out
    support = max(scale, 1.0)
    centres = (np.arange(n_out)[:, None] + 0.5) * scale
    pixels = np.arange(n_in)[None, :] + 0.5
    matrix = np.maximum(0.0, 1.0 - np.abs(pixels - centres) / support)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return _frozen(matrix)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)  # cached and shared: a caller must not change it
    return array
