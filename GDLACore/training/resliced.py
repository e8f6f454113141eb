"""Training slices with everything at random: plane, shape, contrast, scanner (CT)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.arms import add_arms
from GDLACore.training.contrast import (
    ContrastRanges,
    degrade,
    recolour,
    structure_numbers,
    windowed,
)
from GDLACore.training.loss import IGNORED
from GDLACore.training.reslicing import ResliceRanges, TrainingVolume, reslice

HIGHEST_HU = 2000.0
ARMS_PROBABILITY = 0.3
BONE_CODE = "272673000"  # SNOMED CT


def check_resliceable(card: ModelCard) -> None:
    """Raise TrainingError if these augmentations are not true of the images of ``card``."""
    kind = (card.modality, card.slice_axis, card.view, card.intensity.kind, card.in_channels)
    if kind != ("CT", "axial", "identity", "ct_window", 1):
        raise TrainingError(
            "The resliced augmentation is for axial CT in the radiological view, with one channel "
            f"in a fixed window of HU, and {card.name} is not.",
            "Use the published augmentation.",
        )


class ReslicedSlices:
    """Random planes through one CT, with random contrast; see ``reslicing`` and ``contrast``.

    The planes are centred on the stored slices ``drawn``.

    Raises TrainingError as ``check_resliceable`` does.
    """

    def __init__(
        self, volume: Volume, classes: np.ndarray, card: ModelCard, drawn: Sequence[int]
    ) -> None:
        check_resliceable(card)
        self.window = (float(card.intensity.lower), float(card.intensity.upper))
        bones = [label.value for label in card.labels if label.terminology.type.value == BONE_CODE]
        self.bone = bones[0] if bones else None
        self.ranges, self.contrast = ResliceRanges(), ContrastRanges()
        image = np.clip(volume.array.astype(np.float32), -1024.0, HIGHEST_HU)
        structures, means = structure_numbers(image, np.where(classes == IGNORED, 0, classes))
        self.means = torch.from_numpy(means)
        maps = np.stack([classes.astype(np.float32), structures.astype(np.float32)])
        self.volume = TrainingVolume(
            channels=torch.from_numpy(image)[None, None],
            maps=torch.from_numpy(maps)[None],
            ras_to_ijk=torch.from_numpy(np.linalg.inv(volume.ijk_to_ras)).float(),
            slice_axis=2 - slice_view(volume, "axial", "identity").axes[0],
            centres=torch.from_numpy(_slice_centres(volume)[list(drawn)]).float(),
        )

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a random image [1, size, size] as the network gets it and its target."""
        image, maps, pixel = reslice(self.volume, size, self.ranges, random)
        target, structures = maps[0].to(torch.uint8), maps[1:2]
        image = recolour(image, structures, self.means, self.contrast, random)
        if self.bone is not None and float(torch.rand(1, generator=random)) < ARMS_PROBABILITY:
            image, target = add_arms(image, target, self.bone, pixel, random)
        image = degrade(image, self.contrast, random)
        return windowed(image, self.window, self.contrast, random), target


def _slice_centres(volume: Volume) -> np.ndarray:
    """Return the RAS position, mm, of the middle of every axial slice: [n, 3]."""
    view = slice_view(volume, "axial", "identity")
    middle = (np.array(volume.shape) - 1) / 2.0
    kji = np.repeat(middle[None], view.count, axis=0)
    kji[:, view.axes[0]] = np.arange(view.count)
    ijk = kji[:, ::-1]
    return ijk @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]
