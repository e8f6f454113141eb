"""Which augmentation a recipe means for the images of a card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from GDLACore.errors import TrainingError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.cases import Case
from GDLACore.training.dataset import Dataset
from GDLACore.training.mirroring import NO_MIRRORING, exchanged_sides, sided_structure
from GDLACore.training.picture_slices import PictureSlices
from GDLACore.training.recipe import Recipe
from GDLACore.training.resliced import ReslicedSlices, check_resliceable
from GDLACore.training.volume_slices import VolumeSlices


class SliceSource(Protocol):
    """Draws training slices of one case."""

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return an image [C, size, size] as the network gets it and its target [size, size]."""


def check_augmentation(dataset: Dataset, card: ModelCard, recipe: Recipe) -> None:
    """Raise TrainingError if ``recipe`` asks for images or labels that are not true of ``card``."""
    if recipe.augmentation == "resliced":
        check_resliceable(card)
    elif _of_pictures(card):
        _check_pictures(dataset, card, recipe)
    elif recipe.reflections == "left_right":
        exchanged_sides(card, dataset.auxiliary)


def slice_source(
    dataset: Dataset,
    case: Case,
    volume: Volume,
    classes: np.ndarray,
    drawn: Sequence[int],
    *,
    card: ModelCard,
    recipe: Recipe,
) -> SliceSource:
    """Return what draws slices of ``case``, read as ``volume`` and ``classes``.

    ``drawn`` are the stored slices that may be drawn. Raises TrainingError if the augmentation is
    not for such images.
    """
    if recipe.augmentation == "resliced":
        return ReslicedSlices(volume, classes, card, drawn)
    ways = {"reflections": recipe.reflections, "rotation": recipe.rotation}
    if _of_pictures(card):
        return PictureSlices(volume, classes, card, drawn, masks=recipe.masks, **ways)
    sides = None
    if recipe.reflections == "left_right":
        sides = exchanged_sides(card, dataset.auxiliary)
        known = dataset.known(case)
        # Where one kidney is not annotated, nobody knows the other's place in a mirror image.
        if (known != known[sides[: len(known)]]).any():
            sides = None
    return VolumeSlices(volume, classes, card, drawn, sides=sides, **ways)


def _check_pictures(dataset: Dataset, card: ModelCard, recipe: Recipe) -> None:
    if card.resampling != "antialias":
        raise TrainingError(
            f"{card.name} scales its images one by one, as pictures; their training slices lie on "
            f"the grid of `antialias`, not on that of `{card.resampling}`.",
            'Set `"resampling": "antialias"` in the card.',
        )
    sided = sided_structure(card, dataset.auxiliary)
    if sided is not None and recipe.reflections != "none":
        raise TrainingError(
            f"Pictures are mirrored whichever way they show the patient, so {sided!r} of "
            f"{card.name} would be taught on either side.",
            NO_MIRRORING,
        )


def _of_pictures(card: ModelCard) -> bool:
    """Return whether images are pictures, scaled one by one, and not slices of volumes."""
    return card.intensity.kind == "minmax_image"
