"""Training slices of volumes: mirrored and rotated, then resized as the card says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from GDLACore.imaging.intensity import normaliser
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.pipeline import channels_first
from GDLACore.training.mirroring import left_right_axis
from GDLACore.training.turning import Turning


class VolumeSlices:
    """The stored slices ``drawn`` of one volume.

    ``reflections`` and ``rotation`` are those of a recipe; ``sides``, uint8 [256], is what each
    class is called in a mirror image, None if this volume is not to be mirrored across the patient.
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
        sides: np.ndarray | None = None,
    ) -> None:
        self.card, self.drawn = card, drawn
        self.view = slice_view(volume, card.slice_axis, card.view)
        self.array, self.classes = volume.array, classes
        self.normalise = normaliser(card.intensity, volume.array)
        # Every profile takes a voxel without a value for the least there is: for air.
        outside = float(self.normalise(np.array([np.nan]))[0])
        axis = left_right_axis(volume, card)
        self.turning = Turning(reflections, rotation, axis, sides, outside)

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a random image [C, size, size] as the network gets it and its target."""
        k = self.drawn[int(torch.randint(len(self.drawn), (1,), generator=random))]
        slices = channels_first(self.normalise(self.view.take(self.array, [k])), self.card)
        image, target = self.turning(slices[0], self.view.take(self.classes, [k])[0], random)
        into = slice_resampling(self.card.resampling, image.shape[1:], size)
        image = into.rows @ image @ into.columns.T
        target = into.labels_in(target)
        return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(target)
