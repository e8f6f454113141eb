"""From a slice's logits to its labels, at the network's size and at the image's own."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from GDLACore.imaging.resampling import antialias_matrix
from GDLACore.imaging.slice_resampling import SliceResampling


def largest(logits: np.ndarray, label_type: type[np.unsignedinteger]) -> np.ndarray:
    """Return the class of the largest of ``logits`` [classes, ...], the first of equals."""
    highest = logits.max(axis=0)
    labels = np.zeros(highest.shape, label_type)
    # Comparing class by class is three times as fast as argmax, whose classes lie far apart.
    for value in range(len(logits) - 1, -1, -1):
        np.copyto(labels, label_type(value), where=logits[value] == highest)
    return labels


def enlarged_labels(
    logits: np.ndarray, plan: SliceResampling, label_type: type[np.unsignedinteger]
) -> np.ndarray:
    """Return labels [h, w] of ``logits`` [classes, s, s] interpolated linearly to ``plan.shape``.

    Between four neighbours of the same class every interpolated value has that class too, for no
    weighted mean of logits turns their order around. So only pixels between neighbours of
    different classes, a few in a hundred, are interpolated at all.
    """
    if not plan.corners_aligned and min(plan.shape) < plan.size:
        return largest(_reduced(logits, plan), label_type)
    rows, columns = (_taps(plan.size, side, plan.corners_aligned) for side in plan.shape)
    coarse = largest(logits, label_type)
    labels = coarse.take(rows.first, axis=0).take(columns.first, axis=1)
    mixed = _mixed_cells(coarse).take(rows.first, axis=0).take(columns.first, axis=1)
    pixels = np.flatnonzero(mixed)
    y = pixels // plan.shape[1]
    x = pixels - y * plan.shape[1]
    labels.reshape(-1)[pixels] = largest(_interpolated(logits, rows, columns, y, x), label_type)
    return labels


def enlarged(image: np.ndarray, plan: SliceResampling) -> np.ndarray:
    """Return ``image`` [s, s] interpolated linearly to ``plan.shape``, as logits are for labels."""
    if not plan.corners_aligned and min(plan.shape) < plan.size:
        return _reduced(image, plan)
    rows, columns = (_taps(plan.size, side, plan.corners_aligned) for side in plan.shape)
    # Columns first: picking single values is what takes the time, and rows lie in one piece.
    wide = _between(
        image.take(columns.first, axis=1),
        image.take(columns.first + 1, axis=1),
        columns.fraction,
    )
    return _between(
        wide.take(rows.first, axis=0), wide.take(rows.first + 1, axis=0), rows.fraction[:, None]
    )


class _Taps(NamedTuple):
    """For every sample of an axis: its left neighbour, and how far it lies to the right of it."""

    first: np.ndarray
    fraction: np.ndarray


@lru_cache(maxsize=32)
def _taps(n_in: int, n_out: int, corners_aligned: bool) -> _Taps:
    if corners_aligned:
        positions = np.arange(n_out) * ((n_in - 1) / max(n_out - 1, 1))
    else:
        positions = ((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5).clip(0, n_in - 1)
    first = np.minimum(positions.astype(np.intp), n_in - 2)
    return _Taps(first, (positions - first).astype(np.float32))


def _mixed_cells(labels: np.ndarray) -> np.ndarray:
    """Return, for every square of four neighbours, whether they differ: [s - 1, s - 1]."""
    corner = labels[:-1, :-1]
    mixed = corner != labels[:-1, 1:]
    mixed |= corner != labels[1:, :-1]
    mixed |= corner != labels[1:, 1:]
    return mixed


def _interpolated(
    logits: np.ndarray, rows: _Taps, columns: _Taps, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Return logits [classes, n] at the pixels (y, x) of the enlarged image."""
    side = logits.shape[-1]
    flat = logits.reshape(len(logits), -1)
    corner = rows.first[y] * side + columns.first[x]
    right, down = columns.fraction[x], rows.fraction[y]
    upper, lower = (
        _between(flat.take(left, axis=1), flat.take(left + 1, axis=1), right)
        for left in (corner, corner + side)
    )
    return _between(upper, lower, down)


def _between(first: np.ndarray, second: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Return ``first + (second - first) * fraction``, in the memory of ``second``."""
    second -= first
    second *= fraction
    second += first
    return second


def _reduced(logits: np.ndarray, plan: SliceResampling) -> np.ndarray:
    """Return ``logits`` [..., s, s] for an image smaller than the network's square: [..., h, w]."""
    rows, columns = (antialias_matrix(plan.size, side).astype(np.float32) for side in plan.shape)
    return rows @ logits @ columns.T
