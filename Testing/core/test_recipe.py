from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_data import write_plan, yaml

from GDLACore.errors import ModelFileError, TrainingError
from GDLACore.training.recipe import read_plan


def test_a_recipe_left_out_is_the_published_one(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    assert (plan.recipe.augmentation, plan.recipe.seed) == ("published", 42)
    assert plan.card.input_size == 64


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ({"learning_rat": 1}, "unknown field learning_rat"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"iterations": "many"}, "`iterations`"),
        ({"augmentation": "strong"}, "`augmentation`"),
        ({"sizes": [100]}, "`sizes`"),
        ({"sizes": [0]}, "`sizes`"),
        ({"sizes": 160}, "`sizes`"),
        ({"batch_size": 2.5}, "`batch_size`"),
        ({"average": 2.0}, "`average`"),
        ({"warm_up": -1}, "`warm_up`"),
        ({"supervision_stride": 3}, "`supervision_stride`"),
        ({"learning_rate": float("nan")}, "`learning_rate`"),
        ({"seed": "x"}, "`seed`"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    tmp_path: Path, recipe: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(TrainingError, match=complaint):
        read_plan(write_plan(tmp_path, **recipe))


def test_a_number_yaml_takes_for_text_is_a_number(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("warm_up: 2", "warm_up: 2\n  learning_rate: 1e-3"), encoding="utf-8"
    )
    assert read_plan(path).recipe.learning_rate == 1e-3


def test_a_training_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("card: [", encoding="utf-8")
    for path in (tmp_path / "none.yaml", broken):
        with pytest.raises(TrainingError, match=path.name):
            read_plan(path)


def test_a_card_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    (tmp_path / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFileError, match="card.json"):
        read_plan(path)
    path.write_text(yaml.safe_dump({"card": "none.json", "dataset": "d.yaml"}), encoding="utf-8")
    with pytest.raises(ModelFileError, match="none.json"):
        read_plan(path)


def test_a_card_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    (tmp_path / "card.json").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(ModelFileError, match="card.json is not valid JSON"):
        read_plan(path)
