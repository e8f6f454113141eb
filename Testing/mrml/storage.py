"""The ways in which a scan of the same part of a patient can be stored: planes, flips, obliquity.

Every grid holds the whole of the known patient of anatomy.py.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from anatomy import CENTER

# which of patient axes R, A and S (0, 1, 2) array indices i, j and k follow
PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}

FLIPS = list(product((1, -1), repeat=3))


def _rotation(degrees: float, axis: int) -> np.ndarray:
    matrix = np.eye(3)
    a, b = (other for other in range(3) if other != axis)
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix[a, a] = matrix[b, b] = cos
    matrix[a, b], matrix[b, a] = -sin, sin
    return matrix


# one column per step along (about) R, A and S, in mm
KINDS = {
    "axis-aligned": np.diag([4.0, 4.0, 4.0]),
    "oblique": _rotation(22, 0) @ _rotation(-17, 2) * 4.0,
    "left-handed": np.diag([-4.0, 4.0, 4.0]),
    "anisotropic": _rotation(8, 1) * (3.1, 3.7, 7.3),
}

_EXTENT = 64.0  # mm that a grid covers at least along each of its axes


def ijk_to_ras(kind: str, plane: str, flips: tuple[int, int, int]) -> np.ndarray:
    """Return the 4x4 matrix (mm) of a grid whose middle is the patient's."""
    matrix = np.eye(4)
    matrix[:3, :3] = KINDS[kind][:, PLANES[plane]] * flips
    last = np.subtract(shape(kind, plane), 1)[::-1]
    matrix[:3, 3] = CENTER - matrix[:3, :3] @ last / 2
    return matrix


def shape(kind: str, plane: str) -> tuple[int, int, int]:
    """Return the number of voxels along k, j and i."""
    spacing = np.linalg.norm(KINDS[kind], axis=0)[list(PLANES[plane])]
    i, j, k = (int(count) for count in np.ceil(_EXTENT / spacing))
    return k, j, i
