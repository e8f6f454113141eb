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
    steps = stepsInPlace(ofNode, shape, ofGrid, shapeOfGrid)
    if steps is None and shape == shapeOfGrid:
        # A transform was hardened on the volume and its segmentation: the same voxels elsewhere.
        return np.eye(4)
    return steps


def stepsInPlace(
    ofNode: bytes, shape: tuple[int, int, int], ofGrid: bytes, shapeOfGrid: tuple[int, int, int]
) -> np.ndarray | None:
    """Return what ``stepsBetween`` does, but None if the voxels are not in the same place."""
    steps = wholeSteps(ofNode, ofGrid)
    if steps is None:
        return None
    last = steps @ [*np.subtract(shape[::-1], 1), 1]
    corners = np.sort([steps[:3, 3], last[:3]], axis=0).round()
    lastOfGrid = np.subtract(shapeOfGrid[::-1], 1)
    return steps if np.array_equal(corners, [[0] * 3, lastOfGrid]) else None


def wholeSteps(ofNode: bytes, ofGrid: bytes) -> np.ndarray | None:
    """Return the map as in ``stepsBetween`` if it leads from voxels to voxels, of any number."""
    one, other = (np.frombuffer(matrix).reshape(4, 4) for matrix in (ofNode, ofGrid))
    steps = np.linalg.inv(other) @ one
    turns = np.abs(np.round(steps))[:3, :3]
    isWhole = np.allclose(steps, np.round(steps), atol=1e-3)
    return steps if isWhole and (turns.sum(0) == 1).all() and turns.max() == 1 else None
