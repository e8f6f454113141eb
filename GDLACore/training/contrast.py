"""Random appearance: contrast phases, scanners and reconstructions the training set lacks.

A network taught on one patient takes that patient's grey values for the organs' own. So each
labelled structure, and each tissue class of the unlabelled rest, gets its own random shift and
spread before the image gets noise, blur, a scanner's scale and a slightly different window.
After Billot et al., SynthSeg (arXiv 2107.09559), but around the real texture instead of without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# HU between the tissue classes of what carries no label: air, fat, soft tissue, bone.
TISSUE_LIMITS = (-300.0, -25.0, 160.0)
AIR_STRUCTURE = 0


@dataclass(frozen=True)
class ContrastRanges:
    """How far the appearance may change. Standard deviations in HU unless said."""

    shift: float = 18.0
    rare_shift: float = 90.0
    rare_probability: float = 0.12
    spread: tuple[float, float] = (0.6, 1.5)  # factor on the deviation from the structure's mean
    gain: tuple[float, float] = (0.92, 1.08)  # factor on all values
    offset: float = 10.0
    noise: float = 30.0
    blur: float = 1.0  # pixels
    window_jitter: float = 12.0


def structure_numbers(
    image: np.ndarray, stored_labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return structure numbers, int16 like ``image``, and the mean HU of each, float32.

    Number 0 is unlabelled air; 1 to 3 are the other unlabelled tissues; every distinct value of the
    label map follows.
    """
    tissue = np.digitize(image, TISSUE_LIMITS).astype(np.int16)
    present, number = np.unique(stored_labels, return_inverse=True)
    number = number.reshape(stored_labels.shape).astype(np.int16)
    labelled_from = len(TISSUE_LIMITS) + 1 - int(present[0] == 0)
    structures = np.where(stored_labels == 0, tissue, number + labelled_from)
    counts = np.bincount(structures.ravel())
    sums = np.bincount(structures.ravel(), weights=image.ravel())
    return structures, (sums / np.maximum(counts, 1)).astype(np.float32)


def recolour(
    image: Tensor,
    structures: Tensor,
    means: Tensor,
    ranges: ContrastRanges,
    random: torch.Generator,
) -> Tensor:
    """Return ``image`` [1, h, w] in HU with a random shift and spread per structure [1, h, w]."""
    count = len(means)
    shift = ranges.shift * torch.randn(count, generator=random)
    rare = torch.rand(count, generator=random) < ranges.rare_probability
    shift = shift + rare * ranges.rare_shift * torch.randn(count, generator=random)
    low, high = ranges.spread
    spread = low + (high - low) * torch.rand(count, generator=random)
    shift[AIR_STRUCTURE], spread[AIR_STRUCTURE] = 0.0, 1.0
    index = structures.long()
    mean = means[index]
    return mean + shift[index] + spread[index] * (image - mean)


def degrade(image: Tensor, ranges: ContrastRanges, random: torch.Generator) -> Tensor:
    """Return ``image`` [1, h, w] in HU as another scanner might have made it."""
    gain, offset, noise_scale, blur_scale, noise_blur = torch.rand(5, generator=random).tolist()
    low, high = ranges.gain
    image = (image + 1024) * (low + (high - low) * gain) - 1024 + ranges.offset * (2 * offset - 1)
    image = _blurred(image, max(0.0, 2 * blur_scale - 1) * ranges.blur)
    noise = torch.randn(image.shape, generator=random)
    noise = _blurred(noise, noise_blur)
    return image + ranges.noise * noise_scale**2 * noise / noise.std().clamp(min=1e-3)


def windowed(
    image: Tensor, window: tuple[float, float], ranges: ContrastRanges, random: torch.Generator
) -> Tensor:
    """Return ``image`` in HU clipped to a jittered window and scaled to [0, 1]."""
    lower, upper = (
        limit + ranges.window_jitter * float(torch.randn(1, generator=random)) for limit in window
    )
    return (image.clamp(lower, upper) - lower) / (upper - lower)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    if sigma < 0.3:
        return image
    reach = int(3 * sigma) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image[None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])[0]
