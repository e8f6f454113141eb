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
    rows, columns = (np.arange(size) * side // size for side in view.slice_shape)
    return view.take(mask, slice(None))[:, rows[:, None], columns]
