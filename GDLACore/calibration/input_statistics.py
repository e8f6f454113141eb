"""What the training images looked like, recovered from a network's weights alone.

The stem's shortcut is a 1 x 1 convolution without bias on the raw input, and the batch norm behind
it kept the mean and the variance of what came out during training. With the convolution's weights
W [outputs, channels] and inputs of mean mu and covariance Sigma:

    running_mean = W mu                running_var = diag(W Sigma W^T)

Every output is an estimate of its own of the same few numbers; that they agree is the proof.

What is recovered is what the network was fed, augmentation included: rotated training slices have
corners of zero, which draw the mean a little towards 0. The variance is the one within a batch, a
little below that of all images together, and both come from the last few dozen batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Standard deviations of the input by which honest estimates may differ. Half-precision weights
# give 0.0002; untrained ones 0.25 and more.
AGREEMENT = 0.05

_ITERATIONS = 50
_SMALLEST_RESIDUAL = 1e-7


@dataclass(frozen=True)
class InputStatistics:
    """Mean and standard deviation of each input channel during training.

    ``correlation`` is the smallest between two channels (1 for a single one). ``estimates`` outputs
    were used; ``mean_spread`` and ``deviation_spread`` are the weighted medians of their distances
    from the result, in standard deviations of the input. Numbers are NaN where nothing fits.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    correlation: float
    estimates: int
    mean_spread: float
    deviation_spread: float

    @property
    def consistent(self) -> bool:
        """Return whether the estimates agree, so that the numbers mean something."""
        # More than one estimate per unknown number, or they agree by construction.
        enough = self.estimates > 3 * len(self.means)
        return enough and self.mean_spread < AGREEMENT and self.deviation_spread < AGREEMENT

    @property
    def mean(self) -> float:
        """Return the mean over all channels."""
        return float(np.mean(self.means))

    @property
    def deviation(self) -> float:
        """Return the standard deviation over all channels together."""
        within = np.mean(np.square(self.deviations))
        return float(np.sqrt(within + np.var(self.means)))

    @property
    def grey(self) -> bool:
        """Return whether the channels were equal: grey images, repeated."""
        apart = max(self.means) - min(self.means)
        return self.correlation > 0.99 and apart < AGREEMENT * self.deviation


def input_statistics(weights: Mapping[str, np.ndarray]) -> InputStatistics:
    """Return the statistics of the training inputs from ``weights`` under this package's names.

    Needed are ``stem.conv3.weight`` [outputs, channels, 1, 1] and ``stem.norm3.running_mean`` and
    ``running_var`` [outputs]. Least absolute deviations, each output weighted by the size of its
    weights: what an optimiser's last steps changed since the means were kept hurts small ones most.
    """
    matrix = weights["stem.conv3.weight"].astype(np.float64)[:, :, 0, 0]
    mean = weights["stem.norm3.running_mean"].astype(np.float64)
    variance = weights["stem.norm3.running_var"].astype(np.float64)
    size = np.linalg.norm(matrix, axis=1)
    usable = (size > 0) & (variance > 0) & np.isfinite(mean + variance + size)
    matrix, mean, variance, size = (x[usable] for x in (matrix, mean, variance, size))
    channels = matrix.shape[1]
    rows, columns = np.triu_indices(channels)
    if len(size) < len(rows):
        return _nothing(channels, len(size))
    # In units of each output's own deviation, an error is one in deviations of the input.
    deviation = np.sqrt(variance)[:, None]
    means, mean_error = _least_absolute(matrix / deviation, mean / deviation[:, 0], size)
    twice = np.where(rows == columns, 1.0, 2.0)
    products = twice * matrix[:, rows] * matrix[:, columns] / variance[:, None]
    entries, variance_error = _least_absolute(products, np.ones(len(size)), size)
    covariance = np.zeros((channels, channels))
    covariance[rows, columns] = covariance[columns, rows] = entries
    variances = np.diag(covariance)
    if not (variances > 0).all():
        return _nothing(channels, len(size))
    deviations = np.sqrt(variances)
    return InputStatistics(
        means=tuple(means.tolist()),
        deviations=tuple(deviations.tolist()),
        correlation=float((covariance / np.outer(deviations, deviations)).min()),
        estimates=len(size),
        mean_spread=_weighted_median(np.abs(mean_error), size),
        # A relative error of a variance is twice that of its root.
        deviation_spread=_weighted_median(np.abs(variance_error), size) / 2,
    )


def _nothing(channels: int, estimates: int) -> InputStatistics:
    nan = (float("nan"),) * channels
    return InputStatistics(nan, nan, float("nan"), estimates, float("inf"), float("inf"))


def _least_absolute(
    matrix: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the x that minimises sum(weights |matrix x - values|), and matrix x - values.

    By iteratively reweighted least squares; with one column it is the weighted median.
    """
    scale = np.sqrt(weights)
    for _ in range(_ITERATIONS):
        solution = np.linalg.lstsq(matrix * scale[:, None], values * scale, rcond=None)[0]
        errors = matrix @ solution - values
        scale = np.sqrt(weights / np.maximum(np.abs(errors), _SMALLEST_RESIDUAL))
    return solution, errors


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
