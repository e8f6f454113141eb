"""What a corrected slice gains in the slices beside it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES, _SEED = 9999, 2026
_BLOCK = 5  # neighbouring slices are no independent witnesses: they are drawn together


@dataclass(frozen=True)
class Gain:
    """Median, its 95 % interval, mean and least of Dice gains, and the share of those below 0."""

    median: float
    low: float
    high: float
    mean: float
    worst: float
    worse: float


def overlaps(labels: np.ndarray, truth: np.ndarray, known: Sequence[int]) -> np.ndarray:
    """Return, for each structure, twice the voxels in common and those of both: [structures, 2]."""
    rows = []
    for value in known:
        one, other = labels == value, truth == value
        rows.append((2 * np.count_nonzero(one & other), one.sum() + other.sum()))
    return np.array(rows)


def dice_of(counts: np.ndarray) -> np.ndarray:
    """Return the Dice of each structure [structures, 2]; 1 where there is none, nor any found."""
    return np.where(counts[:, 1] > 0, counts[:, 0] / np.maximum(counts[:, 1], 1), 1.0)


def gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return by how much the mean Dice of the structures rises that are there before or after."""
    there = (before[:, 1] > 0) | (after[:, 1] > 0)
    return float((dice_of(after) - dice_of(before))[there].mean()) if there.any() else 0.0


def summary(gains: Sequence[float]) -> Gain:
    """Return the summary of the gains of the edited slices, in their order.

    The interval is that of the median, from blocks of neighbouring slices drawn with replacement.
    """
    values = np.asarray(gains)
    block = min(_BLOCK, max(1, len(values) // 3))
    starts = np.random.default_rng(_SEED).integers(
        0, len(values) - block + 1, (_RESAMPLES, -(-len(values) // block))
    )
    drawn = (starts[..., None] + np.arange(block)).reshape(_RESAMPLES, -1)[:, : len(values)]
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return Gain(
        float(np.median(values)),
        float(low),
        float(high),
        float(values.mean()),
        float(values.min()),
        float((values < 0).mean()),
    )
