"""Means with 95 % confidence intervals, by drawing patients anew."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap

SEED, RESAMPLES, LEVEL = 2026, 9999, 0.95
FEWEST_PATIENTS = 3

_AT_ONCE = 500  # resamples held in memory
_DECIMALS = 12


@dataclass(frozen=True)
class Measurement:
    """One value of one structure in one image of a patient."""

    patient: str
    structure: str
    value: float


@dataclass(frozen=True)
class Mean:
    """A mean over structures of their means over images, and its 95 % confidence interval.

    ``low`` and ``high`` are None with fewer than three patients, from whom no spread between
    patients can be told. ``method``: "BCa"; "percentile" where that is not defined, as for values
    that are all the same; None without an interval.
    """

    value: float
    low: float | None
    high: float | None
    method: str | None
    values: int
    patients: int


def mean_of(measurements: Sequence[Measurement]) -> Mean | None:
    """Return the mean of ``measurements``, None if there are none.

    The interval is the bias-corrected and accelerated bootstrap of ``scipy.stats.bootstrap``: whole
    patients are drawn with replacement, because images of one patient, and slices of one image, are
    no independent witnesses. It is the same whenever the measurements are.
    """
    if not measurements:
        return None
    patients = sorted({one.patient for one in measurements})
    structures = sorted({one.structure for one in measurements})
    sums = np.zeros((len(patients), len(structures)))
    counts = np.zeros_like(sums)
    for one in measurements:
        place = patients.index(one.patient), structures.index(one.structure)
        sums[place] += one.value
        counts[place] += 1

    def mean(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = np.moveaxis(np.asarray(drawn), axis, -1).astype(int)
        total, number = sums[drawn].sum(axis=-2), counts[drawn].sum(axis=-2)
        present = number > 0
        means = np.divide(total, number, out=np.zeros_like(total), where=present)
        # Equal means must be equal: BCa counts how many resamples lie below the mean itself.
        return np.round(means.sum(axis=-1) / present.sum(axis=-1), _DECIMALS)

    everyone = np.arange(len(patients))
    low, high, method = None, None, None
    if len(patients) >= FEWEST_PATIENTS:
        low, high, method = _interval(everyone, mean)
    return Mean(float(mean(everyone)), low, high, method, len(measurements), len(patients))


def _interval(everyone: np.ndarray, mean: Callable[..., np.ndarray]) -> tuple[float, float, str]:
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", DegenerateDataWarning)
            found = bootstrap(
                (everyone,),
                mean,
                n_resamples=RESAMPLES,
                batch=_AT_ONCE,
                vectorized=True,
                confidence_level=LEVEL,
                method=method,
                random_state=np.random.default_rng(SEED),
            ).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            break
    return float(found.low), float(found.high), method
