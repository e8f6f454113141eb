"""Whether two images have the same voxels, counted from whatever corner in whatever order."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=8)  # asked for several times for each slice that is written
def stepsBetween(
    ofNode: bytes, shape: tuple[int, int, int], ofGrid: bytes, shapeOfGrid: tuple[int, int, int]
) -> np.ndarray | None:
    """Return the 4x4 map from indices i, j, k of a node's voxels to those of a grid.

    ``ofNode`` and ``ofGrid`` are the bytes of their 4x4 matrices from indices to RAS; the shapes
    are [k, j, i]. None if the voxels are not the same.
    """
    one, other = (np.frombuffer(matrix).reshape(4, 4) for matrix in (ofNode, ofGrid))
    steps = np.linalg.inv(other) @ one
    whole = np.abs(np.round(steps))[:3, :3]
    last = np.round(steps @ [*np.subtract(shape[::-1], 1), 1])
    corners = np.sort([np.round(steps[:3, 3]), last[:3]], axis=0)
    if (
        np.allclose(steps, np.round(steps), atol=1e-3)
        and (whole.sum(0) == 1).all()
        and whole.max() == 1
        and (corners[0] == 0).all()
    ):
        return steps
    # A transform was hardened on the volume and its segmentation: the same voxels elsewhere.
    return np.eye(4) if shape == shapeOfGrid else None
