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
    are [k, j, i]. None if the grid has voxels that the node lacks.
    """
    steps = stepsAround(ofNode, shape, ofGrid, shapeOfGrid)
    if steps is None and shape == shapeOfGrid:
        # A transform was hardened on the volume and its segmentation: the same voxels elsewhere.
        return np.eye(4)
    return steps


@lru_cache(maxsize=8)
def stepsAround(
    ofNode: bytes, shape: tuple[int, int, int], ofGrid: bytes, shapeOfGrid: tuple[int, int, int]
) -> np.ndarray | None:
    """Return what ``stepsBetween`` does, but None if the node's voxels are not in their place."""
    steps = wholeSteps(ofNode, ofGrid)
    if steps is None:
        return None
    (first, last), lastOfGrid = corners(steps, shape), np.subtract(shapeOfGrid[::-1], 1)
    return steps if (first <= 0).all() and (last >= lastOfGrid).all() else None


def stepsInPlace(
    ofNode: bytes, shape: tuple[int, int, int], ofGrid: bytes, shapeOfGrid: tuple[int, int, int]
) -> np.ndarray | None:
    """Return what ``stepsBetween`` does, but None if not all voxels are the same ones in place."""
    steps = wholeSteps(ofNode, ofGrid)
    if steps is None:
        return None
    isSame = np.array_equal(corners(steps, shape), corners(np.eye(4), shapeOfGrid))
    return steps if isSame else None


def corners(steps: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the lowest and the highest indices i, j, k [2, 3] of voxels on another grid.

    ``steps`` is the 4x4 map to there, and ``shape`` is [k, j, i].
    """
    last = steps @ [*np.subtract(shape[::-1], 1), 1]
    return np.sort([steps[:3, 3], last[:3]], axis=0).round().astype(int)


def wholeSteps(ofNode: bytes, ofGrid: bytes) -> np.ndarray | None:
    """Return the map as in ``stepsBetween`` if it leads from voxels to voxels, of any number."""
    one, other = (np.frombuffer(matrix).reshape(4, 4) for matrix in (ofNode, ofGrid))
    steps = np.linalg.inv(other) @ one
    turns = np.abs(np.round(steps))[:3, :3]
    isWhole = np.allclose(steps, np.round(steps), atol=1e-3)
    return steps if isWhole and (turns.sum(0) == 1).all() and turns.max() == 1 else None
