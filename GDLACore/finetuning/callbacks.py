"""What a fine-tuning does otherwise than a training: it starts well and must not lose that."""

from __future__ import annotations

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn


class StopNoBetter(EarlyStopping):
    """Ends the training after ``patience`` validations without a better Dice than the best so far.

    The model that is started from counts as the first: it has nothing to gain from weights that
    never reach it.
    """

    def __init__(self, patience: int) -> None:
        # Not strict: a resumed training ends its last epoch once more, with nothing measured.
        super().__init__("dice", mode="max", patience=patience, strict=False, check_finite=False)

    def on_sanity_check_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self.best_score = trainer.callback_metrics["dice"].detach().cpu()

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # Resumed after it had ended, it must not go on to other weights.
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class KeptParts(Callback):
    """Keeps what a few cases can only spoil as it is.

    The batch normalisations go on with the statistics of the many images that they were taught on.
    The deep-supervision heads, which no model file holds, would be random, and so would be what
    they teach: they get no gradient and give none.
    """

    def setup(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        for head in pl_module.network.auxiliary_heads:
            head.requires_grad_(False)
            head.register_forward_pre_hook(_without_gradient)

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        for module in pl_module.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _without_gradient(head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.detach() for x in inputs)
