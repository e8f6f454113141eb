"""Closed surfaces of triangles, and the voxels within them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from GDLACore.imaging.volume import Volume

# Off the voxels' centres by less than any length in a scan: no centre lies on an edge, where two
# triangles would both, or neither, be crossed.
NUDGE = np.array([3.1e-6, 2.7e-6])


def read_surface(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices [n, 3] in mm, RAS, and the triangles [m, 3] of a GIFTI file."""
    vertices, triangles = (array.data for array in nibabel.load(path).darrays[:2])
    return vertices.astype(float), triangles


def within(vertices: np.ndarray, triangles: np.ndarray, volume: Volume) -> np.ndarray:
    """Return which voxels of ``volume`` lie within a closed surface, bool [k, j, i].

    A voxel does if the ray from below to its centre, along k, crosses an odd number of triangles.
    """
    ras_to_ijk = np.linalg.inv(volume.ijk_to_ras)
    corners = (vertices @ ras_to_ijk[:3, :3].T + ras_to_ijk[:3, 3])[triangles]
    corners[..., :2] += NUDGE
    crossings = np.zeros(volume.shape, np.int32)
    first = np.ceil(corners[..., :2].min(axis=1)).astype(int)
    count = np.floor(corners[..., :2].max(axis=1)).astype(int) - first + 1
    for i_step in range(count[:, 0].max()):
        for j_step in range(count[:, 1].max()):
            reached = (count > (i_step, j_step)).all(axis=1)
            column = first[reached] + (i_step, j_step)
            crossed, height = _heights(corners[reached], column)
            i, j = column[crossed].T
            np.add.at(crossings, (np.ceil(height[crossed]).astype(int), j, i), 1)
    return np.cumsum(crossings, axis=0) % 2 == 1


def _heights(corners: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each triangle [n, 3, ijk] crosses its column [n, ij], and at which k."""
    a, b, c = (corners[:, corner] - np.pad(column, ((0, 0), (0, 1))) for corner in range(3))
    # Twice the areas of the triangles that the column makes with two corners each.
    areas = np.stack([p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] for p, q in ((b, c), (c, a), (a, b))])
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = areas / areas.sum(axis=0)
    crossed = np.isfinite(weights).all(axis=0) & (weights >= 0).all(axis=0)
    return crossed, (weights * np.stack([a[:, 2], b[:, 2], c[:, 2]])).sum(axis=0)
