"""A slice of the worst found: the image with the outlines of prediction and reference."""

from __future__ import annotations

import io

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from GDLACore.evaluation.results import Picture
from GDLACore.imaging.slice_picture import brightness
from GDLACore.model.card import IntensityProfile

# Told apart by all eyes: orange and sky blue.
PREDICTION_COLOR, REFERENCE_COLOR = (255, 149, 0), (90, 190, 255)

_LONGEST = 360  # pixels of a picture's longer side
_MARGIN = 0.35  # of the structure's extent, on each side
_LEAST = 16  # pixels of the image that a picture shows at least
_FINER = 2  # drawn this much larger and shrunk, which smooths the outlines
_WIDE, _NARROW = 9, 5  # the prediction lies over the reference, so both show where they agree


def picture_png(picture: Picture, intensity: IntensityProfile | None) -> bytes:
    """Return ``picture`` as PNG, cut to the surroundings of the structure, in true proportions."""
    from PIL import Image

    pixels = brightness(picture.image[None], intensity or IntensityProfile("none"))[0]
    rows, columns = _surroundings(picture.prediction | picture.reference)
    pixels = pixels[rows, columns]
    height, width = (n * step for n, step in zip(pixels.shape[:2], picture.spacing, strict=True))
    scale = _LONGEST / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fine = (size[0] * _FINER, size[1] * _FINER)
    shown = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    drawn = np.array(shown.resize(fine, Image.Resampling.BICUBIC))
    for mask, color, pen in (
        (picture.reference, REFERENCE_COLOR, _WIDE),
        (picture.prediction, PREDICTION_COLOR, _NARROW),
    ):
        drawn[_outline(mask[rows, columns], fine, pen)] = color
    data = io.BytesIO()
    Image.fromarray(drawn).resize(size, Image.Resampling.BOX).quantize(128).save(
        data, "PNG", optimize=True
    )
    return data.getvalue()


def _surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    bounds = []
    for axis in range(2):
        used = np.flatnonzero(mask.any(axis=1 - axis))
        extent = int(used[-1] - used[0]) + 1
        border = max(round(_MARGIN * extent), (_LEAST - extent) // 2 + 1)
        bounds.append(slice(max(0, int(used[0]) - border), int(used[-1]) + border + 1))
    return bounds[0], bounds[1]


def _outline(mask: np.ndarray, size: tuple[int, int], pen: int) -> np.ndarray:
    """Return bool [h, w]: the border of ``mask`` enlarged to ``size`` (width, height)."""
    from PIL import Image

    soft = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    large = np.asarray(soft) > 0.5
    return maximum_filter(large, pen) != minimum_filter(large, pen)
