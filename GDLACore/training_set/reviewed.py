"""Which slices of a case somebody has looked at, as ranges."""

from __future__ import annotations

import numpy as np

from GDLACore.training_set.case import Ranges


def labelled_slices(labels: np.ndarray, axis: int) -> Ranges:
    """Return the slices of ``labels`` [k, j, i] along ``axis`` that have a label, a <= n < b."""
    others = tuple(other for other in range(3) if other != axis)
    inside = np.concatenate([[False], labels.any(axis=others), [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1]).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def slice_count(reviewed: Ranges | None, count: int) -> int:
    """Return how many of ``count`` slices are reviewed."""
    return count if reviewed is None else sum(end - first for first, end in reviewed)
