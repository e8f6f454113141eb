"""What can be said of a few seeds: means, and intervals that hold if another seed were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds, their standard deviation, and the mean's 95 % confidence interval.

    ``sd``, ``low`` and ``high`` are None for a single seed, which tells nothing of others.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per seed with Student's interval (n - 1 degrees of freedom).

    For a difference between two variants give the differences, seed by seed: both saw the same
    batches, and what these have in common cancels.
    """
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(mean, None, None, None)
    sd = float(np.std(values, ddof=1))
    half = float(t.ppf(0.5 + LEVEL / 2, count - 1)) * sd / count**0.5
    return Estimate(mean, sd, mean - half, mean + half)


def mean_over_structures(rows: Sequence[dict], measure: str) -> float | None:
    """Return the mean over structures of their means over images; None without any value."""
    means = list(means_by_structure(rows, measure).values())
    return float(np.mean(means)) if means else None


def means_by_structure(rows: Sequence[dict], measure: str) -> dict[str, float]:
    """Return the mean over images of each structure, in the order of first mention."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row[measure] is not None:
            found.setdefault(row["structure"], []).append(row[measure])
    return {name: float(np.mean(values)) for name, values in found.items()}
