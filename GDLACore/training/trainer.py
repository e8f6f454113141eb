"""Lightning's Trainer, set up for a recipe: checkpoints, log, averaging, processes, precision."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, Strategy

from GDLACore.atomic import replacing
from GDLACore.errors import DeviceError
from GDLACore.training.recipe import Recipe

# Lightning's and PyTorch's words to programmers, and to people who did not mean what we do.
_CHATTER = (
    "Checkpoint directory",  # run.json is in it already
    "Total length of `list` across ranks is zero",  # there are no validation cases
    "`isinstance\\(treespec",
    "`broadcast_buffers` is deprecated",  # its successor is not in PyTorch 2.5
    "Grad strides do not match bucket view strides",
)

# A process that waits longer for the others has lost one.
_PATIENCE = timedelta(minutes=30)


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all; a kill while saving leaves the last one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with replacing(Path(path)) as part:
            torch.save(checkpoint, part)


def build_trainer(
    recipe: Recipe,
    folder: Path,
    *,
    device: str,
    processes: int,
    nodes: int,
    validated: bool,
    callbacks: Sequence[Callback] = (),
) -> lightning.Trainer:
    """Return a Trainer that leaves its checkpoints and logs in ``folder``.

    ``processes`` on each of ``nodes`` computers share every batch, each with a GPU of its own if
    ``device`` is "cuda". Where there are validation cases (``validated``) the best checkpoint is
    kept too. Raises DeviceError if there is no such device, or are not as many GPUs.
    """
    for message in _CHATTER:
        warnings.filterwarnings("ignore", f".*{message}")
    accelerator = _accelerator(device, processes)
    # Without its counter: a "last-v1.ckpt" would never be resumed from.
    kept = {"dirpath": folder, "enable_version_counter": False}
    used: list[Callback] = [*callbacks]
    if validated:
        used.append(ModelCheckpoint(**kept, filename="best", monitor="dice", mode="max"))
    # After "best": what is resumed from must know the best so far, the newest included.
    used.append(
        ModelCheckpoint(**kept, filename="last", every_n_epochs=1, save_on_train_epoch_end=True)
    )
    shown = sys.stdout.isatty()
    if shown:
        used.append(TQDMProgressBar(refresh_rate=20))
    if recipe.average is not None:
        used.append(EMAWeightAveraging(decay=recipe.average))
    return lightning.Trainer(
        accelerator=accelerator,
        strategy=_strategy(processes * nodes),
        devices=processes,
        num_nodes=nodes,
        # The batches know which share is whose.
        use_distributed_sampler=False,
        precision=_precision(recipe.precision, accelerator),
        max_steps=recipe.iterations,
        max_epochs=-1,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=recipe.gradient_clip,
        num_sanity_val_steps=-1,  # a fault in the validation data shows before hours of training
        # On a GPU some operations have no deterministic form; they are named in a warning.
        deterministic=True if accelerator == "cpu" else "warn",
        logger=CSVLogger(folder, name="log", version=f"part-{_parts(folder) + 1}"),
        log_every_n_steps=min(20, recipe.validate_every),
        callbacks=used,
        enable_model_summary=False,
        enable_progress_bar=shown,
        plugins=[WholeFiles()],
    )


def is_first_process() -> bool:
    """Return whether this is the process that writes and prints for all of a training."""
    return rank_zero_only.rank == 0


def loading_processes(on_gpu: bool) -> int:
    """Return how many processes should prepare batches: beside a GPU, as it must not wait."""
    return min(8, os.cpu_count() or 1) if on_gpu else 0


def _strategy(processes: int) -> str | Strategy:
    if processes == 1:
        return "auto"
    # What the buffers hold, the batch statistics, is the same everywhere as it is.
    return DDPStrategy(broadcast_buffers=False, timeout=_PATIENCE)


def _accelerator(device: str, processes: int) -> str:
    found = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and found == 0):
        return "cpu"
    if found == 0:
        raise DeviceError("No CUDA GPU can be used here.", "Choose the device cpu or auto.")
    if found < processes:
        raise DeviceError(
            f"This computer has {found} GPU(s) for {processes} processes.",
            "Start as many processes as there are GPUs.",
        )
    return "cuda"


def _precision(precision: str, accelerator: str) -> str:
    if precision == "auto":
        has_bf16 = accelerator == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bf16" if has_bf16 else "fp32"
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]


def _parts(folder: Path) -> int:
    """Return how many logs there are; Lightning empties a log's folder when it starts again."""
    return len(list((folder / "log").glob("part-*")))
