"""In which slices a segmentation is most likely wrong.

The signal is the weak margin: of all that was tried on real volumes it serves best without costing
anything more; docs/review.md has the comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def slice_doubt(confidence: np.ndarray, axis: int, indices: Sequence[int]) -> np.ndarray:
    """Return how doubtful each slice is, float64 [len(indices)]; look at the largest first.

    ``confidence`` is [k, j, i], 0..1, the margin p1 - p2 between the two most probable classes, as
    ``GDLACore.engine.confidence`` makes it. ``indices`` are slices along array axis ``axis``, in
    any order and with gaps; what other slices hold does not matter.

    The doubt is the sum of (1 - margin) / 2 over the slice's voxels. Where two classes share all
    the probability, that is 1 - p1: the voxels that a well-calibrated network expects to be wrong.
    """
    across = tuple(other for other in range(3) if other != axis)
    certain = np.zeros(confidence.shape[axis])
    # Plane by plane in memory's order, whatever the axis: a plane stays in the processor's cache.
    for k, plane in enumerate(confidence):
        part = certain[k : k + 1] if axis == 0 else certain
        part += plane[None].astype(np.float32).sum(axis=across)
    voxels = confidence.size // max(confidence.shape[axis], 1)
    return (voxels - certain[np.asarray(indices, dtype=np.intp)]) / 2
