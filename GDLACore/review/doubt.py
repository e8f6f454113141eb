"""In which slices a segmentation is most likely wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def slice_doubt(
    labels: np.ndarray, confidence: np.ndarray, axis: int, indices: Sequence[int]
) -> np.ndarray:
    """Return how doubtful each slice is, float64 [len(indices)]; look at the largest first.

    ``labels`` [k, j, i] are those of the whole volume and ``confidence`` float16 [k, j, i] the
    margin, 0..1, between the two most probable classes; only the slices ``indices`` along array
    axis ``axis`` are read, in any order and with gaps. The unit is voxels.
    """
    if not len(indices):
        return np.zeros(0)
    by_slice = np.moveaxis(confidence, axis, 0)
    pixels = by_slice[0].size
    sums = (by_slice[index].sum(dtype=np.float32) for index in indices)
    return np.fromiter((pixels - float(one) for one in sums), np.float64, len(indices))
