"""``gdla train``: from a training file to a checkpoint, resumable at any time."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from GDLACore import __version__
from GDLACore.atomic import replacing, unwritable
from GDLACore.errors import DeviceError, TrainingError
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import check_readable
from GDLACore.network.checkpoint import build_network, load_initial_weights, save_model
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.training.dataset import Dataset, read_dataset
from GDLACore.training.file_hash import sha256
from GDLACore.training.module import SegmentationTraining
from GDLACore.training.recipe import TrainingPlan, read_plan
from GDLACore.weights.torch_file import read_torch_file


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all; a kill while saving leaves the last one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with replacing(Path(path)) as part:
            torch.save(checkpoint, part)


# What of a card decides how a network is taught; its texts and colours do not.
_DECISIVE = (
    "architecture",
    "in_channels",
    "input_size",
    "intensity",
    "slice_axis",
    "view",
    "resampling",
)


def train(plan_path: Path, folder: Path, *, device: str = "auto", resume: bool = False) -> Path:
    """Train as ``plan_path`` says and return the model file of the final weights.

    ``folder`` receives ``run.json`` (what decides the outcome), ``log/part-N/metrics.csv`` (one for
    every start), ``last.ckpt`` (to resume from, written at every validation) and, where there is
    something to validate on, ``best.ckpt`` (highest validation Dice). At the end two model files
    with the card inside are made of them, ``final.safetensors`` and ``best.safetensors``, of the
    averaged weights if the recipe says so.

    ``device`` is "auto", "cpu" or "cuda". Raises TrainingError, VolumeError or ModelFileError for
    unusable input, DeviceError for a device that is not there, and TrainingError if the folder
    holds a training and ``resume`` is not set, if it holds none and ``resume`` is set, or if the
    settings or the data are not those it was started with.
    """
    plan = read_plan(plan_path)
    dataset = read_dataset(plan.dataset)
    _check(plan, dataset)
    if plan.initial_weights is not None:
        check_readable(plan.initial_weights)
    description = _description(plan, dataset)
    last = folder / "last.ckpt"
    if resume and not last.exists():
        raise TrainingError(f"There is nothing to resume in {folder}.", "Start without --resume.")
    if resume:
        _check_unchanged(folder / "run.json", description)
        read_torch_file(last)  # says in words what is wrong with a damaged file
    elif last.exists():
        raise TrainingError(
            f"{folder} already holds a training.",
            "Go on with it (--resume) or choose another folder.",
        )
    trainer = _trainer(plan, dataset, folder, _accelerator(device))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    lightning.seed_everything(plan.recipe.seed)
    network = build_network(plan.card, auxiliary_classes=1 + len(dataset.names))
    if plan.initial_weights is not None:
        load_initial_weights(network, plan.initial_weights)
    module = SegmentationTraining(network, dataset, plan.card, plan.recipe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(description, encoding="utf-8")
        trainer.fit(module, ckpt_path=last if resume else None)
    except OSError as error:
        raise unwritable(folder, error) from error
    except SystemExit:
        # Lightning has already turned Ctrl-C into an orderly exit; the caller counts on Ctrl-C.
        raise KeyboardInterrupt from None
    best = folder / "best.ckpt"
    if best.exists():
        _export(best, network, plan.card)
    return _export(last, network, plan.card)


def _export(checkpoint: Path, network: PVTGDLA, card: ModelCard) -> Path:
    """Write the model file of a training's checkpoint, and return its path.

    Not from the module: resuming a training that was complete leaves the weights there that were
    being trained, while a checkpoint's are always the averaged ones.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "network."
    network.load_state_dict(
        {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
    )
    name = "final" if checkpoint.stem == "last" else checkpoint.stem
    return save_model(checkpoint.with_name(f"{name}.safetensors"), network, card)


def _accelerator(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("No CUDA GPU can be used here.", "Choose the device cpu or auto.")
    return device


def _trainer(
    plan: TrainingPlan, dataset: Dataset, folder: Path, accelerator: str
) -> lightning.Trainer:
    recipe = plan.recipe
    # Without its counter: a "last-v1.ckpt" would never be resumed from.
    kept = {"dirpath": folder, "enable_version_counter": False}
    callbacks: list[Callback] = []
    if dataset.validation:
        callbacks.append(ModelCheckpoint(**kept, filename="best", monitor="dice", mode="max"))
    # After "best": what is resumed from must know the best so far, the newest included.
    callbacks.append(
        ModelCheckpoint(**kept, filename="last", every_n_epochs=1, save_on_train_epoch_end=True)
    )
    shown = sys.stdout.isatty()
    if shown:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    if recipe.average is not None:
        callbacks.append(EMAWeightAveraging(decay=recipe.average))
    return lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_steps=recipe.iterations,
        max_epochs=-1,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=recipe.gradient_clip,
        num_sanity_val_steps=-1,  # a fault in the validation data shows before hours of training
        # On a GPU some operations have no deterministic form; they are named in a warning.
        deterministic=True if accelerator == "cpu" else "warn",
        logger=CSVLogger(folder, name="log", version=f"part-{_parts(folder) + 1}"),
        log_every_n_steps=20,
        callbacks=callbacks,
        enable_model_summary=False,
        enable_progress_bar=shown,
        plugins=[WholeFiles()],
    )


def _parts(folder: Path) -> int:
    """Return how many logs there are; Lightning empties a log's folder when it starts again."""
    return len(list((folder / "log").glob("part-*")))


def _check(plan: TrainingPlan, dataset: Dataset) -> None:
    names = tuple(label.name for label in plan.card.labels)
    if names != dataset.structures:
        raise TrainingError(
            f"The card's labels {list(names)} are not the structures {list(dataset.structures)} "
            f"of {plan.dataset}.",
            "List the same names in the same order in both files.",
        )


def _description(plan: TrainingPlan, dataset: Dataset) -> str:
    """Return what decides the outcome of a training, as JSON: code version, settings, data."""
    card = plan.card.to_dict()
    initial = plan.initial_weights
    description = {
        "version": __version__,
        "recipe": vars(plan.recipe),
        "model": {name: card[name] for name in _DECISIVE},
        "initial weights": None if initial is None else sha256(initial),
        "auxiliary structures": dataset.auxiliary,
        "training data": {case.id: case.description() for case in dataset.training},
        "validation data": {case.id: case.description() for case in dataset.validation},
    }
    return json.dumps(description, indent=2)


def _check_unchanged(path: Path, description: str) -> None:
    now = json.loads(description)
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path} is missing or damaged, so nothing tells how the training was set up.",
            "Start a new training in another folder.",
        ) from error
    if changed := [name for name in now if now[name] != before.get(name)]:
        raise TrainingError(
            f"The {' and '.join(changed)} changed since the training in {path.parent} was started.",
            "Restore them, or start a new training in another folder.",
        )
