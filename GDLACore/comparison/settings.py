"""The comparison file: what is compared, how often, on whom, and which costs are measured.

A YAML or JSON file:

    plan: train.yaml                   # the training file all variants start from
    variants:                          # the first one is what the others are compared with
      gdla: {}
      softmax:
        card: {architecture: {mixer: softmax}}    # fields of the model card that differ
      slower:
        recipe: {learning_rate: 1.0e-4}           # fields of the recipe that differ
    seeds: [1, 2, 3]
    test: [other.yaml]                 # dataset files whose test cases count; the plan's if missing
    costs:                             # not measured if missing
      encoders: [b0, b2]
      sizes: [224, 512]
      rounds: 7
      threads: 1
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.model.card import ENCODERS
from GDLACore.training.settings_file import check_fields, read_settings

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # also the name of a folder
_STRIDE = 32


@dataclass(frozen=True)
class Variant:
    """One contender: the fields of the base plan's card and recipe that differ, and their values.

    ``card`` is nested as a card is; ``recipe`` is flat.
    """

    name: str
    card: dict[str, Any]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class CostSettings:
    """What a forward pass is measured with: encoders, sides of the square input, repetitions."""

    encoders: tuple[str, ...]
    sizes: tuple[int, ...]
    rounds: int
    threads: int


@dataclass(frozen=True)
class Comparison:
    """A comparison file, checked but for what its variants say; the first is the reference."""

    plan: Path
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    tests: tuple[Path, ...]
    costs: CostSettings | None


def read_comparison(path: Path) -> Comparison:
    """Return the comparison in ``path``; the paths in it are relative to it.

    Raises TrainingError naming the field at fault. What a variant changes is checked where plans
    are made of it, by what checks every card and recipe.
    """
    data = read_settings(path, {"plan", "variants", "seeds"}, {"test", "costs"})
    variants = data["variants"]
    if not isinstance(variants, dict) or not variants:
        raise TrainingError(f"`variants` in {path} must name at least one variant.")
    tests = data.get("test")
    if tests is not None and not (isinstance(tests, list) and tests):
        raise TrainingError(f"`test` in {path} must be a list of dataset files.")
    return Comparison(
        plan=path.parent / str(data["plan"]),
        variants=tuple(_variant(name, changes, path) for name, changes in variants.items()),
        seeds=_numbers(data["seeds"], f"`seeds` in {path}", 0, 2**31 - 1),
        tests=tuple(path.parent / str(test) for test in tests or ()),
        costs=None if data.get("costs") is None else _costs(data["costs"], path),
    )


def _variant(name: Any, changes: Any, path: Path) -> Variant:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TrainingError(
            f"A variant in {path} cannot be called {name!r}.",
            "Use lower-case letters, digits, dots, dashes and underscores.",
        )
    changes = check_fields(changes or {}, f"Variant {name} in {path}", set(), {"card", "recipe"})
    for part in ("card", "recipe"):
        if not isinstance(changes.get(part, {}), dict):
            raise TrainingError(f"`{part}` of variant {name} in {path} must hold named fields.")
    if "seed" in changes.get("recipe", {}):
        raise TrainingError(
            f"Variant {name} in {path} sets a seed of its own.",
            "List the seeds of all variants in `seeds`.",
        )
    return Variant(name, changes.get("card", {}), changes.get("recipe", {}))


def _costs(data: Any, path: Path) -> CostSettings:
    where = f"`costs` in {path}"
    data = check_fields(data, where, {"encoders", "sizes"}, {"rounds", "threads"})
    encoders = data["encoders"]
    known = isinstance(encoders, list) and all(encoder in ENCODERS for encoder in encoders)
    if not known or not encoders:
        raise TrainingError(
            f"`encoders` of {where} must be a list of {', '.join(ENCODERS)}, not {encoders!r}."
        )
    sizes = _numbers(data["sizes"], f"`sizes` of {where}", _STRIDE, 4096)
    if any(size % _STRIDE for size in sizes):
        raise TrainingError(f"`sizes` of {where} must be multiples of {_STRIDE}, not {sizes}.")
    (rounds,) = _numbers([data.get("rounds", 7)], f"`rounds` of {where}", 1, 1000)
    (threads,) = _numbers([data.get("threads", 1)], f"`threads` of {where}", 1, 1024)
    return CostSettings(tuple(encoders), sizes, rounds, threads)


def _numbers(data: Any, where: str, lowest: int, highest: int) -> tuple[int, ...]:
    if (
        not isinstance(data, list)
        or not data
        or not all(type(number) is int and lowest <= number <= highest for number in data)
        or len(set(data)) < len(data)
    ):
        raise TrainingError(
            f"{where} must be different whole numbers from {lowest} to {highest}, not {data!r}."
        )
    return tuple(data)
