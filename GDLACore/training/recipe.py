"""How a network is trained: the numbers, with the published ones as defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.model.bundle import read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.training.settings_file import check_fields, read_settings

AUGMENTATIONS = ("published", "resliced")
SAMPLINGS = ("weighted", "shuffled")
STRIDES = (1, 2, 4, 8)
PRECISIONS = ("fp32", "bf16", "auto")

_NUMBER = (int, float)
_MANY = 10**9
# setting -> (type, lowest, highest)
_LIMITS = {
    "batch_size": (int, 1, 4096),
    "iterations": (int, 1, _MANY),
    "warm_up": (int, 0, _MANY),
    "learning_rate": (_NUMBER, 1e-9, 10),
    "lowest_learning_rate": (_NUMBER, 0, 10),
    "weight_decay": (_NUMBER, 0, 10),
    "gradient_clip": (_NUMBER, 1e-6, 1e6),
    "cross_entropy": (_NUMBER, 0, 100),
    "average": (_NUMBER, 0, 1),
    "validate_every": (int, 1, _MANY),
    "seed": (int, 0, 2**31 - 1),
}


@dataclass(frozen=True)
class Recipe:
    """Training settings; the defaults are the authors' (batch and length as for Synapse).

    ``sizes`` are the sides of the training slices, one drawn per batch; None means the card's.
    ``cross_entropy`` is its weight beside the boundary-DoU loss. ``supervision_stride`` is the grid
    the auxiliary heads are compared on: 4 costs a sixth of 1. ``average`` is the decay of the
    exponential moving average of the weights that is evaluated and kept; None keeps the last
    weights. ``validate_every`` iterations a checkpoint is written, too.

    ``sampling`` is "weighted" (each sample's case drawn anew, by weight) or "shuffled" (every case
    once per epoch). ``precision`` is "fp32", "bf16" (PyTorch's autocast) or "auto" (bf16 on GPUs
    that have it).
    """

    augmentation: str = "published"
    sizes: tuple[int, ...] | None = None
    batch_size: int = 8
    iterations: int = 55_400
    warm_up: int = 2_770
    learning_rate: float = 5e-4
    lowest_learning_rate: float = 1e-6
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    cross_entropy: float = 0.0
    supervision_stride: int = 1
    average: float | None = None
    validate_every: int = 277
    seed: int = 42
    sampling: str = "weighted"
    precision: str = "fp32"

    def learning_rate_at(self, iteration: int) -> float:
        """Return the learning rate of ``iteration`` (from 0): linear warm-up, then half a cosine.

        The cosine runs over all iterations, warm-up included, as in the authors' timm schedule, so
        there is a small drop where the warm-up ends.
        """
        low, high = self.lowest_learning_rate, self.learning_rate
        if iteration < self.warm_up:
            return low + (high - low) * iteration / self.warm_up
        return low + 0.5 * (high - low) * (1 + math.cos(math.pi * iteration / self.iterations))


@dataclass(frozen=True)
class TrainingPlan:
    """What one training file asks for: paths as given, settings checked.

    ``initial_weights`` is a file the encoder or the whole network starts from.
    """

    card: ModelCard
    dataset: Path
    recipe: Recipe
    initial_weights: Path | None


def read_plan(path: Path) -> TrainingPlan:
    """Return the plan in a YAML file with the fields card, dataset, recipe and initial_weights.

    Paths are relative to the file. Raises TrainingError or ModelFileError naming what is wrong.
    """
    data = read_settings(path, {"card", "dataset"}, {"recipe", "initial_weights"})
    initial = data.get("initial_weights")
    return TrainingPlan(
        card=read_card_file(path.parent / str(data["card"])),
        dataset=path.parent / str(data["dataset"]),
        recipe=_recipe(data.get("recipe") or {}, path),
        initial_weights=None if initial is None else path.parent / str(initial),
    )


def _recipe(data: Any, path: Path) -> Recipe:
    data = check_fields(
        data, f"`recipe` in {path}", set(), {field.name for field in fields(Recipe)}
    )
    if isinstance(data.get("sizes"), list):
        data = {**data, "sizes": tuple(data["sizes"])}
    # YAML 1.1 takes 1e-3 (without a point) for text.
    data = {name: _as_number(value) for name, value in data.items()}
    recipe = Recipe(**data)
    for name, (kind, lowest, highest) in _LIMITS.items():
        value = getattr(recipe, name)
        if value is None and name == "average":
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not lowest <= value <= highest:
            what = "a whole number" if kind is int else "a number"
            raise TrainingError(
                f"`{name}` in {path} must be {what} from {lowest} to {highest}, not {value!r}."
            )
    _check_choices(recipe, path)
    return recipe


def _as_number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _check_choices(recipe: Recipe, path: Path) -> None:
    sizes = recipe.sizes
    if sizes is not None and not (
        isinstance(sizes, tuple)
        and sizes
        and all(isinstance(size, int) and size > 0 and size % 32 == 0 for size in sizes)
    ):
        raise TrainingError(f"`sizes` in {path} must be a list of multiples of 32, not {sizes!r}.")
    for name, allowed in (
        ("augmentation", AUGMENTATIONS),
        ("supervision_stride", STRIDES),
        ("sampling", SAMPLINGS),
        ("precision", PRECISIONS),
    ):
        if getattr(recipe, name) not in allowed:
            raise TrainingError(
                f"`{name}` in {path} must be one of {', '.join(map(str, allowed))}, "
                f"not {getattr(recipe, name)!r}."
            )
