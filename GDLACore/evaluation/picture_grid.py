"""The grid on which figures of the published picture data sets were taken: the network's own.

Their authors shrink the reference to the network's square, by nearest neighbour counted from the
corner of the picture, and compare it with what the network says there.
"""

from __future__ import annotations

import numpy as np

from GDLACore.imaging.view import SliceView


def shrunken_prediction(mask: np.ndarray, view: SliceView, size: int) -> np.ndarray:
    """Return bool [n, size, size]: published borders undone, for they only repeat pixels.

    Exact where the picture is no smaller than the square.
    """
    rows, columns = (
        ((np.arange(size) + 0.5) * side / size).astype(np.intp) for side in view.slice_shape
    )
    return view.take(mask, slice(None))[:, rows[:, None], columns]


def shrunken_reference(mask: np.ndarray, view: SliceView, size: int) -> np.ndarray:
    """Return bool [n, size, size]: the reference as published, up to half a pixel aside."""
    rows, columns = (_nearest(side, size) for side in view.slice_shape)
    return view.take(mask, slice(None))[:, rows[:, None], columns]


def _nearest(side: int, size: int) -> np.ndarray:
    """Return which of ``side`` pixels each of ``size`` repeats, int [size].

    In single precision as PyTorch has it, which for some sides (480 to 224) ends one pixel lower
    than whole numbers would.
    """
    scale = np.float32(side) / np.float32(size)
    return np.minimum((np.arange(size, dtype=np.float32) * scale).astype(np.intp), side - 1)
