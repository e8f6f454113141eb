"""How much of what is wrong a reviewer has found after so many slices, in which order."""

from __future__ import annotations

import numpy as np
from scipy import stats


def curve(wrong: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the share of all wrong voxels in the first 0, 1, ... n slices of ``order``: [n + 1].

    ``wrong`` [n] counts the wrong voxels of every slice; one of them at least is wrong.
    """
    return np.concatenate([[0.0], np.cumsum(wrong[order])]) / wrong.sum()


def by_doubt(doubt: np.ndarray) -> np.ndarray:
    """Return the order of review: the most doubtful first, equals as they are stored."""
    return np.argsort(-doubt, kind="stable")


def area(shares: np.ndarray) -> float:
    """Return the area under a curve, the number of slices being 1: a random order's is 0.5."""
    return float(np.trapezoid(shares, dx=1 / (len(shares) - 1)))


def efficiency(wrong: np.ndarray, order: np.ndarray) -> float:
    """Return where ``order`` stands between a random order, 0, and the best possible one, 1.

    A random order finds k / n of all in k slices, on average and exactly. Below 0 is worse.
    """
    best = area(curve(wrong, by_doubt(wrong)))
    return (area(curve(wrong, order)) - 0.5) / (best - 0.5)


def correlation(wrong: np.ndarray, doubt: np.ndarray) -> float:
    """Return Spearman's rank correlation of doubt and wrong voxels over the slices."""
    return float(stats.spearmanr(wrong, doubt).statistic)


def share_within(wrong: np.ndarray, order: np.ndarray, part: float) -> float:
    """Return the share of all wrong voxels in the first ``part`` (0..1) of the slices."""
    shares = curve(wrong, order)
    return float(np.interp(part * len(wrong), np.arange(len(shares)), shares))
