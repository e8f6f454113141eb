"""The trainings of a comparison: every variant from every seed, in a folder of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from GDLACore import __version__
from GDLACore.atomic import replacing, unwritable
from GDLACore.comparison.settings import Comparison, Variant
from GDLACore.errors import GDLAError, TrainingError
from GDLACore.model.card import ModelCard
from GDLACore.training.command import train_plan
from GDLACore.training.dataset import Dataset
from GDLACore.training.file_hash import sha256
from GDLACore.training.recipe import TrainingPlan, read_plan, read_recipe


@dataclass(frozen=True)
class Run:
    """One variant trained from one seed, in ``folder``."""

    variant: str
    seed: int
    folder: Path
    plan: TrainingPlan

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.seed}"

    @property
    def model(self) -> Path:
        """The file of the final weights, which is there once the training is complete."""
        return self.folder / "final.safetensors"


def runs_of(comparison: Comparison, folder: Path) -> tuple[Run, ...]:
    """Return the runs below ``folder``, ordered by seed: cut short, they are whole rounds.

    Raises TrainingError, naming the variant, for settings that no training file or card could have;
    TrainingError or ModelFileError for the base plan.
    """
    base = read_plan(comparison.plan)
    recipe = yaml.safe_load(comparison.plan.read_text(encoding="utf-8")).get("recipe") or {}
    return tuple(
        Run(
            variant.name,
            seed,
            folder / "runs" / f"{variant.name}-{seed}",
            _plan(variant, base, {**recipe, **variant.recipe, "seed": seed}),
        )
        for seed in comparison.seeds
        for variant in comparison.variants
    )


def check_unchanged(run: Run, dataset: Dataset) -> None:
    """Raise TrainingError if ``run`` was started with other settings, data, weights or code."""
    path = _plan_file(run)
    if path.exists() and path.read_text(encoding="utf-8") != _description(run, dataset):
        raise TrainingError(
            f"The settings, the data or the version of GDLA changed since {path} was written "
            f"for the run {run.name}.",
            f"Restore them, delete {run.folder} to train this run anew, or compare in another "
            "folder.",
        )


def finish_training(run: Run, dataset: Dataset, device: str) -> None:
    """Train ``run`` from where it stands to its end; see GDLACore.training.command.train_plan."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(run.folder, error) from error
    with replacing(_plan_file(run)) as part:
        part.write_text(_description(run, dataset), encoding="utf-8")
    resume = (run.folder / "last.ckpt").exists()
    train_plan(run.plan, dataset, run.folder, device=device, resume=resume)


def _plan(variant: Variant, base: TrainingPlan, recipe: dict[str, Any]) -> TrainingPlan:
    where = f"variant {variant.name}"
    try:
        card = ModelCard.from_dict(_merged(base.card.to_dict(), variant.card))
    except GDLAError as error:
        raise TrainingError(f"The card of {where} is not valid: {error.message}") from error
    return replace(base, card=card, recipe=read_recipe(recipe, where))


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``, mapping by mapping."""
    both = dict(base)
    for name, value in changes.items():
        inner = isinstance(value, dict) and isinstance(base.get(name), dict)
        both[name] = _merged(base[name], value) if inner else value
    return both


def _plan_file(run: Run) -> Path:
    return run.folder / "plan.json"


def _description(run: Run, dataset: Dataset) -> str:
    """Return what decides the final weights, as JSON; whom they are validated on does not."""
    initial = run.plan.initial_weights
    description = {
        "version": __version__,
        "card": run.plan.card.to_dict(),
        "recipe": vars(run.plan.recipe),
        "initial weights": None if initial is None else sha256(initial),
        "structures": dataset.names,
        "training data": {case.id: case.description() for case in dataset.training},
    }
    return json.dumps(description, indent=2)
