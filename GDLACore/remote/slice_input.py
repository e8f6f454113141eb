"""From slices at their own size to the network's input, on a computer without ONNX Runtime.

The matrices of a resampling are nearly empty: far from a pixel a spline's weights are nothing. So
sparse products are as fast as numpy's, and without threads that go on spinning after each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from GDLACore.imaging.intensity import minmax_images
from GDLACore.imaging.slice_resampling import SliceResampling
from GDLACore.model.card import ModelCard

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def network_input(slices: np.ndarray, plan: SliceResampling, card: ModelCard) -> np.ndarray:
    """Return ``slices`` [n, c, h, w], float32, as [n, c, s, s]: resampled, then scaled if need be.

    May be called from several threads at a time.
    """
    rows, columns = _matrices(plan)
    count, channels = slices.shape[:2]
    images = np.empty((count, channels, plan.size, plan.size), np.float32)
    for index in np.ndindex(count, channels):
        low = rows @ slices[index]
        images[index] = (columns @ np.ascontiguousarray(low.T)).T
    return minmax_images(images) if card.intensity.kind == "minmax_image" else images


@lru_cache(maxsize=32)
def _matrices(plan: SliceResampling) -> tuple[csr_matrix, csr_matrix]:
    return sparse.csr_matrix(plan.rows), sparse.csr_matrix(plan.columns)
