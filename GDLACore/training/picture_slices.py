"""Training pictures as the authors make them: ultrasound, skin and endoscopy.

Resized first, in 256 levels; then, each with a probability of its own, rotated, flipped, made
brighter or darker, blurred; then scaled to [0, 1]. The authors leave these steps to a library whose
version they do not name; docs/training.md says what is not certain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from GDLACore.imaging.intensity import minmax_images, normaliser
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.pipeline import channels_first
from GDLACore.training.cases import IGNORED

# Of a rotation, a flip of columns, one of rows, other brightness and contrast, and blur.
PROBABILITIES = (0.5, 0.5, 0.5, 0.2, 0.3)
LARGEST_ANGLE = 30.0
LARGEST_CHANGE = 0.2  # of contrast, and of brightness as part of all levels

# OpenCV's binomial-like kernels for 3, 5 and 7 pixels; the two larger are drawn twice as often,
# because the library makes the next odd number of an even one.
_KERNELS = ((1, 2, 1), (1, 4, 6, 4, 1), (2, 7, 14, 18, 14, 7, 2))
_DRAWN_KERNELS = (0, 1, 1, 2, 2)


class PictureSlices:
    """The pictures ``drawn`` of one volume, changed as a recipe says.

    - ``reflections``: "published" and "left_right" flip columns, rows or both; "none" neither.
    - ``rotation``: the corners show the picture mirrored at its border; "published" takes the
      mirrored mask for true, "ignored_corners" does not know what is there.
    - ``masks``: "published" puts a mask on another grid than its picture's, up to half a pixel off,
      and takes a picture that shows nothing but one structure for background; "kept" does neither.
    """

    def __init__(
        self,
        volume: Volume,
        classes: np.ndarray,
        card: ModelCard,
        drawn: Sequence[int],
        *,
        reflections: str = "published",
        rotation: str = "published",
        masks: str = "published",
    ) -> None:
        self.card, self.drawn = card, drawn
        self.reflections, self.rotation, self.masks = reflections, rotation, masks
        self.view = slice_view(volume, card.slice_axis, card.view)
        self.array, self.classes = volume.array, classes
        self.scaled = normaliser(IntensityProfile("minmax_volume"), volume.array)

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a random image [C, size, size] as the network gets it and its target."""
        k = self.drawn[int(torch.randint(len(self.drawn), (1,), generator=random))]
        image = _resized(self._levels(k), size)
        grid = "nearest" if self.masks == "published" else "nearest-exact"
        target = _resized_mask(self.view.take(self.classes, [k])[0], size, grid)
        image, target = self._moved(image, target, random)
        image = _recoloured(image, random)
        if self.masks == "published" and target.min() == target.max() != IGNORED:
            target = np.zeros_like(target)
        return torch.from_numpy(minmax_images(image[None])[0]), torch.from_numpy(target)

    def _levels(self, k: int) -> np.ndarray:
        """Return a stored picture in 256 levels, uint8 [C, h, w]."""
        picture = self.view.take(self.array, [k])
        if picture.dtype != np.uint8:
            picture = np.rint(255 * self.scaled(picture)).astype(np.uint8)
        return np.ascontiguousarray(channels_first(picture, self.card)[0])

    def _moved(
        self, image: np.ndarray, target: np.ndarray, random: torch.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        rotate, *flips = _chances(PROBABILITIES[:3], random)
        angle = LARGEST_ANGLE * _symmetric(random)
        if rotate:
            image = ndimage.rotate(image, angle, (1, 2), order=1, mode="mirror", reshape=False)
            outside = "mirror" if self.rotation == "published" else "constant"
            target = ndimage.rotate(
                target, angle, order=0, mode=outside, cval=IGNORED, reshape=False
            )
        for axis, flip in zip((1, 0), flips, strict=True):
            if flip and self.reflections != "none":
                image, target = np.flip(image, axis + 1), np.flip(target, axis)
        return image, np.ascontiguousarray(target)


def _recoloured(image: np.ndarray, random: torch.Generator) -> np.ndarray:
    """Return ``image``, uint8 [C, h, w], perhaps brighter, darker, of other contrast or blurred."""
    light, blur = _chances(PROBABILITIES[3:], random)
    contrast, brightness = (LARGEST_CHANGE * _symmetric(random) for _ in range(2))
    number = int(torch.randint(len(_DRAWN_KERNELS), (1,), generator=random))
    if light:
        image = _in_levels((1 + contrast) * image.astype(np.float32) + 255 * brightness)
    if blur:
        kernel = np.array(_KERNELS[_DRAWN_KERNELS[number]], np.float32)
        kernel /= kernel.sum()
        blurred = ndimage.convolve1d(image.astype(np.float32), kernel, 1, mode="mirror")
        image = _in_levels(ndimage.convolve1d(blurred, kernel, 2, mode="mirror"))
    return image


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    resized = F.interpolate(
        torch.from_numpy(image)[None], (size, size), mode="bilinear", antialias=True
    )
    return resized[0].numpy()


def _resized_mask(target: np.ndarray, size: int, grid: str) -> np.ndarray:
    mask = torch.from_numpy(np.ascontiguousarray(target))[None, None]
    return F.interpolate(mask, (size, size), mode=grid)[0, 0].numpy()


def _in_levels(image: np.ndarray) -> np.ndarray:
    return np.rint(image).clip(0, 255).astype(np.uint8)


def _chances(probabilities: Sequence[float], random: torch.Generator) -> list[bool]:
    drawn = torch.rand(len(probabilities), generator=random)
    return (drawn < torch.tensor(probabilities)).tolist()


def _symmetric(random: torch.Generator) -> float:
    """Return a number from -1 to 1."""
    return 2 * float(torch.rand(1, generator=random)) - 1
