"""Training slices as the authors make them for volumes: turned or rotated, then resized.

With probability 1/2 a quarter turn and a mirroring (always both: only the four reflections ever
occur); otherwise with probability 1/2 a rotation by -20 to 19 degrees, nearest neighbour, corners
filled with 0. Then the card's resampling, the labels by order 0.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from GDLACore.errors import TrainingError
from GDLACore.imaging.intensity import normaliser
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard


class PublishedSlices:
    """The stored slices ``drawn`` of one volume, augmented as in the published training.

    Raises TrainingError for models of pictures, which have an augmentation of their own.
    """

    def __init__(self, volume: Volume, classes: np.ndarray, card: ModelCard, drawn: range) -> None:
        if card.intensity.kind == "minmax_image":
            raise TrainingError(
                f"The published augmentation is that of volumes, and {card.name} is for pictures.",
                "Training on pictures is not supported yet.",
            )
        self.card = card
        self.view = slice_view(volume, card.slice_axis, card.view)
        self.drawn = drawn
        self.array, self.classes = volume.array, classes
        self.normalise = normaliser(card.intensity, volume.array)

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a random image [C, size, size] as the network gets it and its target."""
        k = self.drawn[int(torch.randint(len(self.drawn), (1,), generator=random))]
        image = self.normalise(self.view.take(self.array, [k])[0])
        image = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        target = self.view.take(self.classes, [k])[0]
        image, target = _augmented(image, target, random)
        into = slice_resampling(self.card.resampling, image.shape[1:], size)
        image = into.rows @ image @ into.columns.T
        target = into.labels_in(target)
        return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(target)


def _augmented(
    image: np.ndarray, target: np.ndarray, random: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    reflect, rotate = (torch.rand(2, generator=random) < 0.5).tolist()
    turns, axis, angle = (int(torch.randint(n, (1,), generator=random)) for n in (4, 2, 40))
    if reflect:
        image = np.flip(np.rot90(image, turns, axes=(1, 2)), axis + 1)
        target = np.flip(np.rot90(target, turns), axis)
    elif rotate:
        image = ndimage.rotate(image, angle - 20, axes=(1, 2), order=0, reshape=False)
        target = ndimage.rotate(target, angle - 20, order=0, reshape=False)
    return image, np.ascontiguousarray(target)
