"""One slice as a picture: the image in grey or colour, structures tinted and outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from GDLACore.model.card import IntensityProfile

if TYPE_CHECKING:
    from PIL import Image

_TINT = 0.35  # how much of a structure's colour covers the image
_FINER = 2  # drawn this much larger and shrunk, which smooths the outlines
_OUTLINE = 3  # pixels of the larger picture

Size = tuple[int, int]


def brightness(slices: np.ndarray, profile: IntensityProfile) -> np.ndarray:
    """Return slices [n, h, w] or [n, h, w, 3] as uint8 for display; colour of 8 bits is kept.

    CT is shown in the model's window, other images from their 1st to their 99th percentile.
    """
    if slices.ndim == 4 and slices.dtype == np.uint8:
        return slices
    values = slices.astype(np.float32)
    if profile.kind == "ct_window" and profile.lower is not None and profile.upper is not None:
        low, high = profile.lower, profile.upper
    else:
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    scaled = (values - low) / max(high - low, 1e-6)
    return (255 * np.nan_to_num(scaled, nan=0.0).clip(0, 1)).astype(np.uint8)


def draw_slice(
    pixels: np.ndarray, labels: np.ndarray, colors: dict[int, tuple[int, int, int]], size: Size
) -> Image.Image:
    """Return the RGB picture, ``size`` (width, height), of uint8 ``pixels`` [h, w] or [h, w, 3].

    ``labels`` [h, w] are drawn in ``colors`` (label value to RGB); values without one are not.
    """
    from PIL import Image

    fine = (size[0] * _FINER, size[1] * _FINER)
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    canvas = np.array(picture.resize(fine, Image.Resampling.BICUBIC), dtype=np.float32)
    large = _enlarged(labels, fine)
    outline = maximum_filter(large, 2 * _OUTLINE + 1) != minimum_filter(large, 2 * _OUTLINE + 1)
    for value in np.unique(large):
        if value in colors:
            inside = large == value
            cover = np.where(outline[inside], 1.0, _TINT)[:, None]
            canvas[inside] += cover * (np.float32(colors[value]) - canvas[inside])
    drawn = Image.fromarray(canvas.round().astype(np.uint8))
    return drawn.resize(size, Image.Resampling.BOX)


def _enlarged(labels: np.ndarray, size: Size) -> np.ndarray:
    """Return the label whose mask, interpolated linearly, is strongest at each pixel.

    Enlarging the values themselves would show the voxels as stairs, and hide how coarse or fine
    the structure itself is.
    """
    from PIL import Image

    values = np.unique(labels)
    strongest = np.full(size[::-1], -1.0, np.float32)
    large = np.zeros(size[::-1], labels.dtype)
    for value in values:
        mask = Image.fromarray((labels == value).astype(np.float32))
        strength = np.asarray(mask.resize(size, Image.Resampling.BILINEAR))
        stronger = strength > strongest
        strongest[stronger], large[stronger] = strength[stronger], value
    return large
