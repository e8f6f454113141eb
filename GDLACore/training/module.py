"""One training step and one validation, for Lightning's Trainer."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import lightning.pytorch as lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.training.batches import Batch, TrainingBatches
from GDLACore.training.dataset import Dataset, slices_of
from GDLACore.training.distributed import gathered, own_share, share_norms
from GDLACore.training.drop_path import DropPaths
from GDLACore.training.loss import IGNORED, segmentation_loss
from GDLACore.training.recipe import Recipe
from GDLACore.training.trainer import loading_processes

# Lightning wants every process to have something to do.
_NONE_LEFT = -1


class SegmentationTraining(lightning.LightningModule):
    """Trains ``network`` by ``recipe``: deep supervision, AdamW, warm-up and cosine.

    The loss is the plain sum over the four heads. Logs ``loss``, ``learning_rate`` and, per
    validation, ``dice`` (mean over structures) and ``dice/<structure>``. The Dice of a structure is
    the mean over the cases whose labels hold it.
    """

    def __init__(self, network: PVTGDLA, dataset: Dataset, card: ModelCard, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.dataset, self.card, self.recipe = dataset, card, recipe
        self._batches: TrainingBatches | None = None
        self._drop_paths = DropPaths(network)
        share_norms(network)

    def train_dataloader(self) -> Iterable[Batch]:
        """Return the batches of the current epoch, which is a stretch between two validations."""
        workers = loading_processes(self.device.type == "cuda")
        if self._batches is None:
            self._batches = TrainingBatches(
                self.dataset, self.card, self.recipe, loaders=max(1, workers)
            )
        start = self.current_epoch * self.recipe.validate_every
        stop = min(start + self.recipe.validate_every, self.recipe.iterations)
        return DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
        )

    def val_dataloader(self) -> Iterable[int]:
        """Return the numbers of the validation cases that this process looks at."""
        count = len(self.dataset.validation)
        return own_share(count) or [_NONE_LEFT] * min(count, 1)

    def training_step(self, batch: Batch) -> Tensor:
        samples = self.recipe.batch_size
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.global_step)
        self._drop_paths.draw(samples, own_share(samples), random)
        stride = self.recipe.supervision_stride
        *auxiliary, output = self.network.forward_with_supervision(batch.images, stride)
        loss = self._loss(output, batch.target, batch.known)
        # The pixel beside the middle of each coarse one: half a pixel aside, which no coarse head
        # can tell, and a majority would lose thin structures.
        coarse = batch.target[:, stride // 2 :: stride, stride // 2 :: stride]
        for logits in auxiliary:
            loss = loss + self._loss(logits, coarse, batch.known)
        # Lightning's own count is one too high after resuming.
        self.log("step", float(self.global_step))
        self.log("loss", loss, prog_bar=True)
        self.log("learning_rate", self.optimizers().param_groups[0]["lr"])
        return loss

    def _loss(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return the loss of a head that tells apart the first ``logits.shape[1]`` classes."""
        classes = logits.shape[1]
        target = target.masked_fill((target >= classes) & (target != IGNORED), 0)
        return segmentation_loss(logits, target, known[:, :classes], self.recipe.cross_entropy)

    def on_validation_epoch_start(self) -> None:
        self._dice: list[np.ndarray] = []
        self._engine: TorchEngine | None = None

    def validation_step(self, number: int) -> None:
        if number == _NONE_LEFT:
            return
        case = self.dataset.validation[number]
        volume, classes = self.dataset.read(case)
        view = slice_view(volume, self.card.slice_axis, self.card.view)
        span = slices_of(case.validation_slices, case, view)
        # Published borders: what is measured should not depend on how results are drawn.
        options = SegmentOptions(slices=span, borders="published")
        if self._engine is None:
            # A copy: the engine lays the weights out anew.
            self._engine = TorchEngine(copy.deepcopy(self.network), self.card, self.device.type)
        predicted = view.take(segment_volume(volume, self._engine, options), span)
        truth = view.take(classes, span)
        predicted = np.where(truth == IGNORED, 0, predicted)
        dice = [_dice(predicted == label.value, truth == label.value) for label in self.card.labels]
        known = self.dataset.known(case)[1 : self.card.classes]
        self._dice.append(np.where(known, dice, np.nan))

    def on_validation_epoch_end(self) -> None:
        dice = np.array([row for rows in gathered(self._dice) for row in rows])
        found = {
            label.name: float(np.nanmean(column))
            for label, column in zip(self.card.labels, dice.T, strict=True)
            if not np.isnan(column).all()
        }
        for name, value in found.items():
            self.log(f"dice/{name}", value, sync_dist=True)
        mean = float(np.mean(list(found.values()))) if found else 0.0
        self.log("dice", mean, prog_bar=True, sync_dist=True)
        self.log("step", float(self.global_step - 1), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """AdamW without weight decay on vectors (norms, biases); per-iteration schedule."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": self.recipe.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.learning_rate, eps=1e-8)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda i: self.recipe.learning_rate_at(i) / self.recipe.learning_rate
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return 2 |A and B| / (|A| + |B|), NaN where ``truth`` is empty, as MONAI's DiceMetric has it.

    One structure at a time: MONAI's takes all at once, in single precision.
    """
    if not truth.any():
        return float("nan")
    common = np.count_nonzero(predicted & truth)
    return 2 * common / (np.count_nonzero(predicted) + np.count_nonzero(truth))
