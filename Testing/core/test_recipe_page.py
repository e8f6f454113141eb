"""docs/training.md says what the code does: its tables list every field and preset."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

pytest.importorskip("yaml")

from GDLACore.training.recipe import PRESETS, Recipe, preset

PAGE = Path(__file__).resolve().parents[2] / "docs/training.md"


def _rows(title: str) -> list[list[str]]:
    section = PAGE.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_the_page_lists_every_preset_with_its_numbers() -> None:
    documented = {}
    for name, batch, per_epoch, epochs, warm_up, rate, _ in _rows("Presets"):
        documented[name] = (
            int(batch),
            int(per_epoch) * int(epochs),
            int(per_epoch) * int(warm_up),
            int(per_epoch),
            float(rate),
        )
    assert documented == {
        name: (r.batch_size, r.iterations, r.warm_up, r.validate_every, r.learning_rate)
        for name, r in ((n, preset(n)) for n in PRESETS if not n.endswith("-better"))
    }


def test_the_page_lists_every_field_with_its_default() -> None:
    documented = {name: default for name, default, _ in _rows("Fields of a recipe")}
    none = {"sizes": "the card's", "average": "none", "preset": ""}
    defaults = {field.name: str(field.default) for field in dataclasses.fields(Recipe)}
    assert documented == {**defaults, **none}


def test_the_page_lists_every_difference_of_the_better_presets() -> None:
    documented = {row[0] for row in _rows("What the better presets mend")}
    published, better = vars(preset("synapse")), vars(preset("synapse-better"))
    differing = {field for field in published if published[field] != better[field]}
    assert {re.sub(r"`.*", "", name) for name in documented} - {"split"} == differing
