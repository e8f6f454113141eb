"""The presets beside the authors' settings: model cards' data sets, schedule, optimiser."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from recipe_phantoms import phantom_dataset, small_card
from training_data import write_plan, yaml

from GDLACore.errors import ModelFileError, TrainingError
from GDLACore.model.catalogue import find
from GDLACore.training.recipe import PRESETS, Recipe, preset, read_plan, read_recipe

PUBLISHED = [name for name in PRESETS if not name.endswith("-better")]

# name: batch, iterations, warm-up, validation, rates of the first iteration, of the last of the
# warm-up, of the next (lower: the published drop) and of the very last.
SETTINGS = {
    "synapse": (8, 55_400, 2_770, 277, 1e-6, 4.998199e-4, 4.969282e-4, 1.0000016e-6),
    "acdc": (16, 12_300, 820, 82, 1e-6, 4.993915e-4, 4.945478e-4, 1.0000325e-6),
    "busi": (16, 3_900, 390, 39, 1e-6, 4.987205e-4, 4.877886e-4, 1.0003237e-6),
    "ham10000": (16, 67_500, 4_500, 450, 1e-6, 4.998891e-4, 4.945478e-4, 1.0000011e-6),
    "ph2": (16, 500, 25, 5, 1e-6, 4.800400e-4, 4.969282e-4, 1.0196995e-6),
    "kvasir": (16, 18_200, 910, 91, 1e-6, 7.991220e-4, 7.950815e-4, 1.0000238e-6),
}


def test_all_published_data_sets_have_a_preset() -> None:
    assert list(SETTINGS) == PUBLISHED
    assert [f"{name}-better" for name in PUBLISHED] == [n for n in PRESETS if n not in PUBLISHED]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_has_the_authors_numbers(name: str) -> None:
    batch, iterations, warm_up, validation, *_ = SETTINGS[name]
    assert preset(name) == Recipe(
        augmentation="published",
        reflections="published",
        rotation="published",
        masks="published",
        sizes=None,
        sampling="shuffled",
        batch_size=batch,
        iterations=iterations,
        warm_up=warm_up,
        learning_rate=8e-4 if name == "kvasir" else 5e-4,
        lowest_learning_rate=1e-6,
        weight_decay=1e-4,
        gradient_clip=1.0,
        cross_entropy=0.0,
        supervision_stride=1,
        average=None,
        precision="fp32",
        validate_every=validation,
        seed=42,
    )


@pytest.mark.parametrize("name", PRESETS)
def test_the_learning_rate_is_the_authors_in_every_phase(name: str) -> None:
    *_, first, warm, dropped, last = SETTINGS[name.removesuffix("-better")]
    recipe = preset(name)
    rates = [recipe.learning_rate_at(i) for i in range(2)]
    assert rates == [first, first]  # the schedule is advanced late, once
    assert recipe.learning_rate_at(recipe.warm_up) == pytest.approx(warm, rel=2e-7)
    assert recipe.learning_rate_at(recipe.warm_up + 1) == pytest.approx(dropped, rel=2e-7)
    assert recipe.learning_rate_at(recipe.iterations - 1) == pytest.approx(last, rel=1e-7)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_learning_rate_is_that_of_the_scheduler_the_authors_use(name: str) -> None:
    torch = pytest.importorskip("torch")
    from GDLACore.network.timm_import import import_pvt_v2

    import_pvt_v2()
    from timm.scheduler.cosine_lr import CosineLRScheduler

    recipe = preset(name)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=recipe.learning_rate)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=recipe.iterations,
        lr_min=1e-6,
        warmup_lr_init=1e-6,
        warmup_t=recipe.warm_up,
        cycle_limit=1,
        t_in_epochs=False,
    )
    assert optimizer.param_groups[0]["lr"] == recipe.learning_rate_at(0)
    middle = recipe.iterations // 2
    for done in (0, 1, recipe.warm_up - 1, recipe.warm_up, middle, recipe.iterations - 2):
        schedule.step_update(done)  # as the authors do after iteration number `done`
        rate = optimizer.param_groups[0]["lr"]
        assert recipe.learning_rate_at(done + 1) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("name", ["synapse", "kvasir-better"])
def test_the_optimiser_of_a_preset_is_the_authors(name: str) -> None:
    pytest.importorskip("lightning")
    from GDLACore.network.checkpoint import build_network
    from GDLACore.training.module import SegmentationTraining

    card = small_card(name.removesuffix("-better"))
    network = build_network(card)
    module = SegmentationTraining(network, phantom_dataset(card), card, preset(name))
    settings = module.configure_optimizers()
    decayed, kept = settings["optimizer"].param_groups
    for group, decay in ((decayed, 1e-4), (kept, 0.0)):
        assert (group["weight_decay"], group["betas"], group["eps"]) == (decay, (0.9, 0.999), 1e-8)
        assert group["lr"] == pytest.approx(1e-6)  # of the first iteration
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    spared = {names[id(parameter)] for parameter in kept["params"]}
    assert spared == {n for n, p in network.named_parameters() if p.ndim == 1}
    assert all(n in spared for n in names.values() if n.endswith("bias"))
    assert len(spared) + len(decayed["params"]) == len(names)


def test_a_better_preset_differs_in_the_documented_fields_alone() -> None:
    for name in PUBLISHED:
        published, better = (vars(preset(n)) for n in (name, f"{name}-better"))
        differing = {field for field in published if published[field] != better[field]}
        assert differing == {"reflections", "rotation", "masks", "average", "precision"}
        # The average must forget the start long before the end.
        assert better["average"] ** better["iterations"] < 1e-20


def test_fields_beside_a_preset_change_it() -> None:
    recipe = read_recipe({"preset": "ph2", "seed": 7, "average": 0.9}, "train.yaml")
    assert recipe == dataclasses.replace(preset("ph2"), seed=7, average=0.9)


def test_the_average_of_a_better_preset_follows_the_length_that_is_asked_for() -> None:
    shorter = read_recipe({"preset": "synapse-better", "iterations": 600}, "train.yaml")
    assert shorter.average == pytest.approx(1 - 1 / 12)
    assert read_recipe({"preset": "synapse-better", "iterations": 9}, "t.yaml").average == 0
    own = read_recipe({"preset": "ph2-better", "iterations": 600, "average": 0.99}, "t.yaml")
    assert own.average == 0.99
    assert read_recipe({"preset": "synapse", "iterations": 600}, "train.yaml").average is None


@pytest.mark.parametrize("name", ["synapse-best", "Synapse", 3])
def test_a_preset_that_does_not_exist_is_refused_with_those_that_do(name: Any) -> None:
    with pytest.raises(TrainingError, match=r"`preset` in train.yaml.*synapse-better"):
        read_recipe({"preset": name}, "train.yaml")


def test_a_card_of_the_catalogue_is_taken_by_name_without_what_is_known_of_its_weights(
    tmp_path: Path,
) -> None:
    path = write_plan(tmp_path)
    path.write_text(yaml.safe_dump({"card": "acdc", "dataset": "d.yaml"}), encoding="utf-8")
    card, published = read_plan(path).card, find("acdc").card
    assert (card.labels, card.intensity, card.view) == (
        published.labels,
        published.intensity,
        published.view,
    )
    assert card.name == "acdc-own" and card.provenance.source == "gdla train"
    path.write_text(yaml.safe_dump({"card": "acdx", "dataset": "d.yaml"}), encoding="utf-8")
    with pytest.raises(ModelFileError, match="acdx"):
        read_plan(path)
