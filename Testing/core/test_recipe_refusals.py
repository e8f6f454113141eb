"""Augmentations that would teach what is not true are refused before a training starts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from recipe_phantoms import phantom_dataset, small_card

pytest.importorskip("torch")

from GDLACore.errors import TrainingError
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.training.mirroring import exchanged_sides
from GDLACore.training.recipe import Recipe, preset
from GDLACore.training.slice_source import check_augmentation

BETTER = preset("synapse-better")


@pytest.mark.parametrize(
    ("labels", "auxiliary", "named"),
    [((0, 2), (), "Left kidney"), ((0, 1), ("left lung",), "left lung")],
)
def test_a_side_whose_counterpart_is_not_taught_is_refused(
    labels: tuple[int, ...], auxiliary: tuple[str, ...], named: str
) -> None:
    whole = small_card("synapse")
    kept = [dataclasses.replace(whole.labels[n], value=v) for v, n in enumerate(labels, start=1)]
    card = dataclasses.replace(whole, labels=tuple(kept))
    dataset = phantom_dataset(card, auxiliary=auxiliary)
    with pytest.raises(TrainingError, match=named) as error:
        check_augmentation(dataset, card, BETTER)
    assert "reflections: none" in error.value.hint
    check_augmentation(dataset, card, Recipe())
    check_augmentation(dataset, card, dataclasses.replace(BETTER, reflections="none"))


def _kidney_card(*sides: str, field: str = "type_modifier") -> ModelCard:
    """Return the card of Synapse with a kidney for each of ``sides``, told by ``field``."""
    whole = small_card("synapse")
    left, right = whole.labels[2:4]
    codes = {"Left": left.terminology.type_modifier, "Right": right.terminology.type_modifier}
    plain = dataclasses.replace(left.terminology, type_modifier=None, region=left.terminology.type)
    labels = []
    for value, side in enumerate(sides, start=1):
        terminology = dataclasses.replace(plain, **{field: codes[side]})
        name = f"{side} kidney {value}"
        labels.append(dataclasses.replace(left, value=value, name=name, terminology=terminology))
    return dataclasses.replace(whole, labels=tuple(labels))


@pytest.mark.parametrize("field", ["type_modifier", "region_modifier"])
def test_the_modifier_of_a_region_tells_a_side_too(field: str) -> None:
    sides = exchanged_sides(_kidney_card("Left", "Right", field=field), ())
    assert sides[:4].tolist() == [0, 2, 1, 3]


def test_two_labels_of_one_terminology_are_no_ones_counterpart() -> None:
    card = _kidney_card("Left", "Right", "Left")
    with pytest.raises(TrainingError, match="not the only one with its terminology"):
        exchanged_sides(card, ())


def _picture_card(**changes: Any) -> ModelCard:
    return dataclasses.replace(small_card("busi"), **changes)


@pytest.mark.parametrize("name", ["busi", "busi-better"])
@pytest.mark.parametrize(
    ("card", "auxiliary", "named"),
    [
        (_picture_card(labels=_kidney_card("Left", "Right").labels), (), "Left kidney 1"),
        (_picture_card(), ("nodule", "right lung"), "right lung"),
    ],
)
def test_pictures_that_tell_left_from_right_are_not_mirrored(
    card: ModelCard, auxiliary: tuple[str, ...], named: str, name: str
) -> None:
    dataset = phantom_dataset(card, auxiliary=auxiliary)
    with pytest.raises(TrainingError, match=named) as error:
        check_augmentation(dataset, card, preset(name))
    assert "reflections: none" in error.value.hint
    check_augmentation(dataset, card, dataclasses.replace(preset(name), reflections="none"))


def test_pictures_on_the_grid_of_volumes_are_refused() -> None:
    card = _picture_card(resampling="spline3")
    with pytest.raises(TrainingError, match="`spline3`") as error:
        check_augmentation(phantom_dataset(card), card, Recipe())
    assert "antialias" in error.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"modality": "MR"},
        {"view": "transpose"},
        {"intensity": IntensityProfile("zscore_volume")},
        {"intensity": IntensityProfile("minmax_image")},
        {"in_channels": 3},
    ],
)
def test_only_axial_ct_in_a_window_is_resliced(changes: dict[str, Any]) -> None:
    axial = dataclasses.replace(small_card("synapse"), slice_axis="axial", view="identity")
    recipe = Recipe(augmentation="resliced")
    dataset = phantom_dataset(axial)
    check_augmentation(dataset, axial, recipe)
    with pytest.raises(TrainingError, match="resliced") as error:
        check_augmentation(dataset, dataclasses.replace(axial, **changes), recipe)
    assert "published" in error.value.hint
