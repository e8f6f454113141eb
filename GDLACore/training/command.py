"""``gdla train``: from a training file to a checkpoint, resumable at any time."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Callback

from GDLACore import __version__
from GDLACore.atomic import replacing, unwritable
from GDLACore.errors import TrainingError
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import check_readable
from GDLACore.network.checkpoint import build_network, load_initial_weights, save_model
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.training.case_check import check_labels
from GDLACore.training.dataset import Dataset, read_dataset
from GDLACore.training.file_hash import sha256
from GDLACore.training.module import SegmentationTraining
from GDLACore.training.recipe import TrainingPlan, read_plan
from GDLACore.training.trainer import build_trainer, is_first_process
from GDLACore.weights.torch_file import read_torch_file

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


def train(
    plan_path: Path,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    processes: int = 1,
    nodes: int = 1,
) -> Path:
    """Train as the file ``plan_path`` says; see ``train_plan``."""
    plan = read_plan(plan_path)
    return train_plan(
        plan,
        read_dataset(plan.dataset),
        folder,
        device=device,
        resume=resume,
        processes=processes,
        nodes=nodes,
    )


def train_plan(
    plan: TrainingPlan,
    dataset: Dataset,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    processes: int = 1,
    nodes: int = 1,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train on ``dataset`` as ``plan`` says and return the model file of the final weights.

    ``folder`` receives ``run.json`` (what decides the outcome), ``log/part-N/metrics.csv`` (one for
    every start), ``last.ckpt`` (to resume from, written at every validation) and, where there is
    something to validate on, ``best.ckpt`` (highest validation Dice). At the end two model files
    with the card inside are made of them, ``final.safetensors`` and ``best.safetensors``, of the
    averaged weights if the recipe says so. Volumes are unpacked into ``cache``, unless ``dataset``
    has a cache elsewhere.

    ``device`` is "auto", "cpu" or "cuda". With several ``processes``, or ``nodes``, every process
    runs this function and takes its share of each batch; the first one writes the files.

    Raises TrainingError, VolumeError or ModelFileError for unusable input, DeviceError for a device
    that is not there, and TrainingError if the folder holds a training and ``resume`` is not set,
    if it holds none and ``resume`` is set, or if the settings or the data are not those it was
    started with.
    """
    _check(plan, dataset, processes * nodes)
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
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if dataset.cache is None:
        dataset = dataset.cached_in(folder / "cache")
    dataset.check(plan.card)  # a damaged file shows now rather than after hours
    trainer = build_trainer(
        plan.recipe,
        folder,
        device=device,
        processes=processes,
        nodes=nodes,
        validated=bool(dataset.validation),
        callbacks=callbacks,
    )
    lightning.seed_everything(plan.recipe.seed)
    network = build_network(plan.card, auxiliary_classes=1 + len(dataset.names))
    if plan.initial_weights is not None:
        load_initial_weights(network, plan.initial_weights)
    module = SegmentationTraining(network, dataset, plan.card, plan.recipe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_first_process():
            with replacing(folder / "run.json") as part:
                part.write_text(description, encoding="utf-8")
        trainer.fit(module, ckpt_path=last if resume else None)
    except OSError as error:
        raise unwritable(folder, error) from error
    except SystemExit:
        # Lightning has already turned Ctrl-C into an orderly exit; the caller counts on Ctrl-C.
        raise KeyboardInterrupt from None
    final = folder / "final.safetensors"
    if is_first_process():
        best = folder / "best.ckpt"
        if best.exists():
            _export(best, network, plan.card, best.with_suffix(".safetensors"))
        _export(last, network, plan.card, final)
    return final


def _export(checkpoint: Path, network: PVTGDLA, card: ModelCard, path: Path) -> None:
    """Write the model file of a training's checkpoint to ``path``.

    Not from the module: resuming a training that was complete leaves the weights there that were
    being trained, while a checkpoint's are always the averaged ones.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "network."
    network.load_state_dict(
        {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
    )
    save_model(path, network, card)


def _check(plan: TrainingPlan, dataset: Dataset, processes: int) -> None:
    if not dataset.training:
        raise TrainingError(
            f"Every patient in {plan.dataset} is held out: nothing is left to learn from.",
            "Name fewer of them in `test_patients`.",
        )
    check_labels(dataset.structures, plan.card)
    if plan.recipe.batch_size < processes:
        raise TrainingError(
            f"{processes} processes cannot share batches of {plan.recipe.batch_size}.",
            "Start fewer processes, or raise `batch_size`.",
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
        "split": dataset.split_sha256,
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
