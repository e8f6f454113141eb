"""Which slices of a case somebody has looked at, as ranges."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from GDLACore.training_set.case import Ranges


def labelled_slices(labels: np.ndarray, axis: int) -> Ranges:
    """Return the slices of ``labels`` [k, j, i] along ``axis`` that have a label, a <= n < b."""
    others = tuple(other for other in range(3) if other != axis)
    return slice_ranges(np.flatnonzero(labels.any(axis=others)).tolist())


def slice_ranges(slices: Iterable[int]) -> Ranges:
    """Return ``slices`` as ranges a <= n < b, none of which touch."""
    numbers = np.unique([*slices]).astype(int)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else []
    return tuple((int(run[0]), int(run[-1]) + 1) for run in runs)


def slice_count(reviewed: Ranges | None, count: int) -> int:
    """Return how many of ``count`` slices are reviewed."""
    return count if reviewed is None else sum(end - first for first, end in reviewed)
