"""A patient who is known exactly: which structure is at any point, and nothing like its mirror.

Three structures of different sizes lie on different sides of CENTER and one runs aslant, so that
the labels are others after any flip or exchange of axes.
"""

from __future__ import annotations

import numpy as np

CENTER = np.array([12.0, -30.0, 95.0])  # RAS, mm

# label -> middle (mm from CENTER), half axes (mm)
_ELLIPSOIDS = {
    1: ((14.0, 5.0, 4.0), (13.0, 15.0, 11.0)),
    2: ((-15.0, -11.0, 7.0), (9.0, 8.0, 9.0)),
}
_ROD = 3  # label
_ROD_START, _ROD_END, _ROD_RADIUS = np.array([-9, 16, -19.0]), np.array([2, -14, -7.0]), 6.5


def labels_at(points: np.ndarray) -> np.ndarray:
    """Return the labels, 0 to 3, at ``points`` [..., 3] in RAS (mm)."""
    return _first_negative(_distances(points))


def distance_to_surfaces(points: np.ndarray) -> np.ndarray:
    """Return how far, about, ``points`` [..., 3] in RAS are from where labels change, in mm."""
    return np.abs(_distances(points)).min(axis=-1)


def _distances(points: np.ndarray) -> np.ndarray:
    """Return [..., 3]: for each structure, about how far outside (above 0) or inside points are."""
    relative = points - CENTER
    found = [_outside_ellipsoid(relative, *shape) for shape in _ELLIPSOIDS.values()]
    return np.stack([*found, _outside_rod(relative)], axis=-1)


def _outside_ellipsoid(points: np.ndarray, middle: tuple, half_axes: tuple) -> np.ndarray:
    return (np.linalg.norm((points - middle) / half_axes, axis=-1) - 1) * min(half_axes)


def _outside_rod(points: np.ndarray) -> np.ndarray:
    line = _ROD_END - _ROD_START
    along = np.clip((points - _ROD_START) @ line / (line @ line), 0, 1)
    return np.linalg.norm(points - _ROD_START - along[..., None] * line, axis=-1) - _ROD_RADIUS


def _first_negative(distances: np.ndarray) -> np.ndarray:
    inside = distances < 0
    return np.where(inside.any(axis=-1), inside.argmax(axis=-1) + 1, 0).astype(np.uint8)
