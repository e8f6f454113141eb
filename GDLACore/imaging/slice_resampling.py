"""The way of one slice into the network's square and of its labels back, as matrices and indices.

Two published protocols: ``spline3`` (volumes: scipy zoom, corner-aligned grid) and ``antialias``
(colour images: torch bilinear with antialiasing, half-pixel grid). Each goes back on its own grid,
or the labels would shift by up to half a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from GDLACore.imaging.resampling import antialias_matrix, nearest_indices, spline_matrix

# A spline's weights fade by a factor of four with every pixel and end as denormal numbers, with
# which processors calculate twenty times more slowly. Below this they change no float32 sum.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, eq=False)
class SliceResampling:
    """Between slices of ``shape`` (h, w) and squares of ``size``.

    A slice X becomes ``rows @ X @ columns.T`` (float32). ``corners_aligned`` says which of the two
    grids the square has, for whoever enlarges logits. ``nearest_in`` and ``nearest_out`` hold, for
    every row and every column of a label map, where to take it from, or -1 for background.
    """

    shape: tuple[int, int]
    size: int
    rows: np.ndarray
    columns: np.ndarray
    corners_aligned: bool
    nearest_in: tuple[np.ndarray, np.ndarray]
    nearest_out: tuple[np.ndarray, np.ndarray]

    def labels_in(self, labels: np.ndarray) -> np.ndarray:
        """Return labels [..., h, w] as [..., size, size], by nearest neighbour (for training)."""
        return _picked(labels, *self.nearest_in)

    def labels_out(self, labels: np.ndarray) -> np.ndarray:
        """Return labels [..., size, size] as [..., h, w], by nearest neighbour."""
        return _picked(labels, *self.nearest_out)


@lru_cache(maxsize=32)
def slice_resampling(resampling: str, shape: tuple[int, int], size: int) -> SliceResampling:
    """Return the resampling of a protocol, "spline3" or "antialias".

    Raises ValueError for another name.
    """
    if resampling == "spline3":
        matrix, nearest = spline_matrix, nearest_indices
    elif resampling == "antialias":
        matrix, nearest = antialias_matrix, _half_pixel_nearest
    else:
        raise ValueError(f"unknown resampling {resampling!r}")
    height, width = shape
    return SliceResampling(
        shape=shape,
        size=size,
        rows=_without_negligible(matrix(height, size)),
        columns=_without_negligible(matrix(width, size)),
        corners_aligned=resampling == "spline3",
        nearest_in=(nearest(height, size), nearest(width, size)),
        nearest_out=(nearest(size, height), nearest(size, width)),
    )


def _without_negligible(matrix: np.ndarray) -> np.ndarray:
    return _frozen(np.where(np.abs(matrix) < _NEGLIGIBLE, 0.0, matrix).astype(np.float32))


def _half_pixel_nearest(n_in: int, n_out: int) -> np.ndarray:
    centres = (np.arange(n_out) + 0.5) * n_in / n_out
    return _frozen(centres.astype(np.intp).clip(max=n_in - 1))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)  # cached and shared: a caller must not change it
    return array


def _picked(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the labels at ``rows`` and ``columns``; -1 stands for background."""
    picked = labels[..., rows[:, None], columns]
    picked[..., rows < 0, :] = 0
    picked[..., columns < 0] = 0
    return picked
