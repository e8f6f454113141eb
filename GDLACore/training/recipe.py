"""How a network is trained: the authors' numbers for their data sets, and better ones."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.model.bundle import read_card_file
from GDLACore.model.card import ModelCard, Provenance
from GDLACore.model.catalogue import find, is_card_file
from GDLACore.training.settings_file import check_fields, read_settings

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
_CHOICES = {
    "augmentation": ("published", "resliced"),
    "reflections": ("published", "left_right", "none"),
    "rotation": ("published", "ignored_corners"),
    "masks": ("published", "kept"),
    "sampling": ("weighted", "shuffled"),
    "precision": ("fp32", "bf16", "auto"),
    "supervision_stride": (1, 2, 4, 8),
}


@dataclass(frozen=True)
class Recipe:
    """Training settings; the defaults are the authors' (batch and length as for Synapse).

    ``augmentation`` "published" turns stored slices or changes pictures, as the card's images are;
    ``reflections``, ``rotation`` and ``masks`` say how: see ``VolumeSlices`` and ``PictureSlices``.
    "resliced" cuts new slices through volumes. ``sizes`` are the sides of the training slices, one
    drawn per batch; None means the card's. ``sampling`` is "weighted" (each sample's case drawn
    anew, by weight) or "shuffled" (every case once per epoch).

    ``cross_entropy`` is its weight beside the boundary-DoU loss. ``supervision_stride`` is the grid
    the auxiliary heads are compared on: 4 costs a sixth of 1. ``average`` is the decay of the
    exponential moving average of the weights that is evaluated and kept; None keeps the last
    weights. ``precision`` is "fp32", "bf16" (PyTorch's autocast) or "auto" (bf16 on GPUs that have
    it). ``validate_every`` iterations a checkpoint is written, too.
    """

    augmentation: str = "published"
    reflections: str = "published"
    rotation: str = "published"
    masks: str = "published"
    sizes: tuple[int, ...] | None = None
    sampling: str = "weighted"
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
    precision: str = "fp32"
    validate_every: int = 277
    seed: int = 42

    def learning_rate_at(self, iteration: int) -> float:
        """Return the learning rate of ``iteration`` (from 0): linear warm-up, then half a cosine.

        As in the authors' program: the first two iterations have the lowest rate, because the
        schedule is advanced to i after iteration i and not to i + 1; and the cosine runs over all
        iterations, warm-up included, so there is a small drop where the warm-up ends.
        """
        low, high = self.lowest_learning_rate, self.learning_rate
        time = max(iteration - 1, 0)
        if time < self.warm_up:
            return low + (high - low) * time / self.warm_up
        return low + 0.5 * (high - low) * (1 + math.cos(math.pi * time / self.iterations))


# data set: (batch, iterations per epoch, epochs of warm-up, epochs, learning rate)
_PUBLISHED = {
    "synapse": (8, 277, 10, 200, 5e-4),
    "acdc": (16, 82, 10, 150, 5e-4),
    "busi": (16, 39, 10, 100, 5e-4),
    "ham10000": (16, 450, 10, 150, 5e-4),
    "ph2": (16, 5, 5, 100, 5e-4),
    "kvasir": (16, 91, 10, 200, 8e-4),
}
_BETTER = "-better"
PRESETS = (*_PUBLISHED, *(name + _BETTER for name in _PUBLISHED))


def preset(name: str) -> Recipe:
    """Return the recipe of a published data set, or with "-better" one that mends its faults.

    Raises KeyError if ``name`` is none of ``PRESETS``.
    """
    batch, per_epoch, warm_up, epochs, rate = _PUBLISHED[name.removesuffix(_BETTER)]
    iterations = epochs * per_epoch
    published = Recipe(
        sampling="shuffled",
        batch_size=batch,
        iterations=iterations,
        warm_up=warm_up * per_epoch,
        learning_rate=rate,
        validate_every=per_epoch,
    )
    if not name.endswith(_BETTER):
        return published
    return dataclasses.replace(
        published,
        reflections="left_right",
        rotation="ignored_corners",
        masks="kept",
        average=_late_average(iterations),
        precision="auto",
    )


def read_recipe(data: Any, where: str) -> Recipe:
    """Return the recipe in ``data``: a ``preset``, and the fields that differ from it.

    A preset's moving average follows ``iterations``, unless ``average`` is a field too. Raises
    TrainingError naming the field and ``where`` it stands.
    """
    names = {field.name for field in dataclasses.fields(Recipe)}
    data = check_fields(data, f"`recipe` in {where}", set(), {"preset", *names})
    name = data.get("preset")
    if name is not None and name not in PRESETS:
        raise TrainingError(
            f"`preset` in {where} must be one of {', '.join(PRESETS)}, not {name!r}."
        )
    # YAML 1.1 takes 1e-3 (without a point) for text.
    changes = {field: _as_number(value) for field, value in data.items() if field != "preset"}
    if isinstance(changes.get("sizes"), list):
        changes["sizes"] = tuple(changes["sizes"])
    recipe = dataclasses.replace(Recipe() if name is None else preset(name), **changes)
    _check(recipe, where)
    if name is not None and recipe.average is not None and "average" not in changes:
        recipe = dataclasses.replace(recipe, average=_late_average(recipe.iterations))
    return recipe


def _late_average(iterations: int) -> float:
    """Return the decay that averages over about the last fiftieth of a training."""
    return max(0.0, 1 - 50 / iterations)


def _as_number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _check(recipe: Recipe, where: str) -> None:
    for name, (kind, lowest, highest) in _LIMITS.items():
        value = getattr(recipe, name)
        if value is None and name == "average":
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not lowest <= value <= highest:
            what = "a whole number" if kind is int else "a number"
            raise TrainingError(
                f"`{name}` in {where} must be {what} from {lowest} to {highest}, not {value!r}."
            )
    for name, allowed in _CHOICES.items():
        if getattr(recipe, name) not in allowed:
            raise TrainingError(
                f"`{name}` in {where} must be one of {', '.join(map(str, allowed))}, "
                f"not {getattr(recipe, name)!r}."
            )
    sizes = recipe.sizes
    if sizes is not None and not (
        isinstance(sizes, tuple)
        and sizes
        and all(isinstance(size, int) and size > 0 and size % 32 == 0 for size in sizes)
    ):
        raise TrainingError(f"`sizes` in {where} must be a list of multiples of 32, not {sizes!r}.")


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

    ``card`` is a card's file or the name of a model of the catalogue. Paths are relative to the
    file. Raises TrainingError or ModelFileError naming what is wrong.
    """
    data = read_settings(path, {"card", "dataset"}, {"recipe", "initial_weights"})
    initial = data.get("initial_weights")
    return TrainingPlan(
        card=_card(str(data["card"]), path.parent),
        dataset=path.parent / str(data["dataset"]),
        recipe=read_recipe(data.get("recipe") or {}, str(path)),
        initial_weights=None if initial is None else path.parent / str(initial),
    )


def _card(named: str, folder: Path) -> ModelCard:
    if is_card_file(named):
        return read_card_file(folder / named)
    card = find(named).card
    # Of the catalogue's model, only what it does is taken; what is known of it is not of this one.
    return dataclasses.replace(
        card,
        name=f"{card.name[:60]}-own",
        title=f"{card.title}, own training",
        sha256=None,
        provenance=Provenance(
            source="gdla train",
            training_data="Own images",
            licence="Whoever trained it decides.",
            intended_use="Research and education. Not a medical device; not for clinical use.",
            citation=card.provenance.citation,
            caveats=(f"Trained by its user; what is known of {card.name} does not hold for it.",),
        ),
    )
