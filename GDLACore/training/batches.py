"""The stream of training batches: batch number i depends on the seed and i, and on nothing else.

So a training that was killed goes on with exactly the batches it would have seen.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLACore.training.dataset import Case, Dataset, slices_of
from GDLACore.training.loss import IGNORED
from GDLACore.training.published import PublishedSlices
from GDLACore.training.recipe import Recipe
from GDLACore.training.resliced import ReslicedSlices


class Batch(NamedTuple):
    """images float32 [B, C, H, W]; target uint8 [B, H, W]; known bool [B, 1 + structures]."""

    images: Tensor
    target: Tensor
    known: Tensor


class SliceSource(Protocol):
    """Draws training slices of one case."""

    def draw(self, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return an image [C, size, size] as the network gets it and its target [size, size]."""


class TrainingBatches(TorchDataset):
    """The batches of a training, by number."""

    def __init__(self, dataset: Dataset, card: ModelCard, recipe: Recipe) -> None:
        self.sizes = recipe.sizes or (card.input_size,)
        self.batch_size = recipe.batch_size
        self.seed = recipe.seed
        self.count = recipe.iterations
        self.sources = [_source(dataset, case, card, recipe) for case in dataset.training]
        self.known = [torch.from_numpy(dataset.known(case)) for case in dataset.training]
        self.weights = torch.tensor([case.weight for case in dataset.training])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        random = torch.Generator().manual_seed(_mixed(self.seed, index))
        size = self.sizes[int(torch.randint(len(self.sizes), (1,), generator=random))]
        cases = torch.multinomial(self.weights, self.batch_size, True, generator=random).tolist()
        drawn = [self.sources[case].draw(size, random) for case in cases]
        return Batch(
            images=torch.stack([image for image, _ in drawn]),
            target=torch.stack([target for _, target in drawn]),
            known=torch.stack([self.known[case] for case in cases]),
        )


def _source(dataset: Dataset, case: Case, card: ModelCard, recipe: Recipe) -> SliceSource:
    volume, classes = dataset.read(case)
    view = slice_view(volume, card.slice_axis, card.view)
    classes = dataset.hide_validation(case, classes, view)
    drawn = slices_of(case.slices, case, view)
    if (view.take(classes, drawn) == IGNORED).all():
        raise TrainingError(
            f"Every slice that case {case.id} is to be learnt from is held back for validation.",
            "Correct its `slices` or `validation_slices` in the dataset file.",
        )
    kind = PublishedSlices if recipe.augmentation == "published" else ReslicedSlices
    return kind(volume, classes, card, drawn)


def _mixed(seed: int, index: int) -> int:
    """Return a generator seed in which neighbouring batches have nothing in common."""
    return int(
        np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )
