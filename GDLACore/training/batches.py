"""The stream of training batches: sample j of batch i depends on the seed, i and j alone.

So a training that was killed goes on with exactly the batches it would have seen, and several
processes see together what one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from GDLACore.errors import TrainingError
from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLACore.training.dataset import Case, Dataset, slices_of
from GDLACore.training.distributed import own_share
from GDLACore.training.loss import IGNORED
from GDLACore.training.recent import Recent
from GDLACore.training.recipe import Recipe
from GDLACore.training.slice_source import SliceSource, check_augmentation, slice_source

# Of images and labels kept to draw from, by all processes that load data for one that trains.
_KEPT_BYTES = 4 * 2**30
# The most that an augmentation holds: image, labels and structure numbers in single precision.
_BYTES_PER_VOXEL = 12


class Batch(NamedTuple):
    """images float32 [B, C, H, W]; target uint8 [B, H, W]; known bool [B, 1 + structures]."""

    images: Tensor
    target: Tensor
    known: Tensor


class TrainingBatches(TorchDataset):
    """The batches of a training, by number; of each, the share of this process.

    ``loaders`` is how many processes will load them side by side.
    """

    def __init__(
        self, dataset: Dataset, card: ModelCard, recipe: Recipe, *, loaders: int = 1
    ) -> None:
        check_augmentation(dataset, card, recipe)
        self._dataset, self._card, self._recipe = dataset, card, recipe
        self._sizes = recipe.sizes or (card.input_size,)
        # Now: processes that only load data do not know of the others.
        self._share = own_share(recipe.batch_size)
        self._known = [torch.from_numpy(dataset.known(case)) for case in dataset.training]
        self._weights = torch.tensor([case.weight for case in dataset.training])
        self._limit = _KEPT_BYTES // loaders
        self._sources: Recent[int, SliceSource] = Recent(self._limit)
        for number, case in enumerate(dataset.training):
            if case.validation_slices is not None:  # the file may leave nothing to learn from
                self._source(number)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a process that loads data is started with: it reads the cases itself."""
        return {**vars(self), "_sources": Recent(self._limit)}

    def __len__(self) -> int:
        return self._recipe.iterations

    def __getitem__(self, index: int) -> Batch:
        random = _generator(self._recipe.seed, index)
        size = self._sizes[int(torch.randint(len(self._sizes), (1,), generator=random))]
        cases = self._cases(index, random)
        drawn = [
            self._source(cases[j]).draw(size, _generator(self._recipe.seed, index, j))
            for j in self._share
        ]
        return Batch(
            images=torch.stack([image for image, _ in drawn]),
            target=torch.stack([target for _, target in drawn]),
            known=torch.stack([self._known[cases[j]] for j in self._share]),
        )

    def _cases(self, index: int, random: torch.Generator) -> list[int]:
        """Return the number of each sample's case in batch ``index``."""
        count = self._recipe.batch_size
        if self._recipe.sampling == "weighted":
            return torch.multinomial(self._weights, count, True, generator=random).tolist()
        # Every case once per epoch in a new order; its last batch is filled up from its first.
        cases = len(self._weights)
        epoch, batch = divmod(index, -(-cases // count))
        order = torch.randperm(cases, generator=_generator(self._recipe.seed, -1 - epoch)).tolist()
        return [order[position % cases] for position in range(batch * count, (batch + 1) * count)]

    def _source(self, number: int) -> SliceSource:
        if (source := self._sources.get(number)) is None:
            case = self._dataset.training[number]
            volume, classes = self._dataset.read(case)
            view = slice_view(volume, self._card.slice_axis, self._card.view)
            classes = self._dataset.hide_validation(case, classes, view)
            drawn = _annotated(case, classes, slices_of(case.slices, case, view), view.axes[0])
            source = slice_source(
                self._dataset, case, volume, classes, drawn, card=self._card, recipe=self._recipe
            )
            self._sources.put(number, source, classes.size * _BYTES_PER_VOXEL)
        return source


def _annotated(case: Case, classes: np.ndarray, span: Sequence[int], axis: int) -> list[int]:
    """Return the slices in ``span`` across ``axis`` of which something is annotated."""
    drawn = [k for k in span if (classes.take(k, axis) != IGNORED).any()]
    if not drawn:
        raise TrainingError(
            f"Every slice that case {case.id} is to be learnt from is held back for validation "
            "or not annotated.",
            "Correct its `slices` or `validation_slices` in the dataset file.",
        )
    return drawn


def _generator(seed: int, *numbers: int) -> torch.Generator:
    """Return a generator that has nothing in common with that of neighbouring ``numbers``."""
    mixed = np.random.SeedSequence((seed, *(n % 2**64 for n in numbers)))
    return torch.Generator().manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1)))
