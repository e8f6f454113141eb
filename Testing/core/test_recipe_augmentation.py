"""What the augmentations of the presets do to images, and to what is known of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from recipe_phantoms import (
    LPS,
    PhantomCase,
    abdomen,
    heart,
    outlined,
    phantom_dataset,
    picture,
    small_card,
)
from scipy import ndimage

pytest.importorskip("torch")

import torch
from torch import Tensor

from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.cases import IGNORED
from GDLACore.training.recipe import PRESETS, Recipe, preset
from GDLACore.training.slice_source import SliceSource, slice_source

BETTER = Recipe(reflections="left_right", rotation="ignored_corners", masks="kept")
LEFT_KIDNEY, RIGHT_KIDNEY, LIVER = 3, 4, 5


def _source(card: ModelCard, case: PhantomCase, recipe: Recipe) -> SliceSource:
    dataset = phantom_dataset(card, case)
    drawn = range(case.volume.shape[0])
    return slice_source(dataset, case, case.volume, case.classes, drawn, card=card, recipe=recipe)


def _draws(source: SliceSource, count: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    random = torch.Generator().manual_seed(3)
    for _ in range(count):
        image, target = source.draw(size, random)
        assert (image.dtype, target.dtype) == (torch.float32, torch.uint8)
        assert image.shape[1:] == target.shape == (size, size)
        yield image.numpy(), target.numpy()


def _centre(mask: np.ndarray) -> np.ndarray:
    return np.array(np.nonzero(mask)).mean(1)


@pytest.mark.parametrize("name", PRESETS)
def test_a_draw_depends_on_its_generator_alone(name: str) -> None:
    card = small_card(name.removesuffix("-better"))
    case = phantom_dataset(card).training[0]
    drawn: list[list[Tensor]] = []
    for _ in range(2):
        torch.manual_seed(len(drawn))
        np.random.seed(len(drawn))
        source, random = _source(card, case, preset(name)), torch.Generator().manual_seed(1)
        drawn.append([tensor for _ in range(4) for tensor in source.draw(64, random)])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    assert not torch.equal(drawn[0][0], drawn[0][2])


@pytest.mark.parametrize("name", PRESETS)
def test_image_and_target_stay_together(name: str) -> None:
    card = small_card(name.removesuffix("-better"))
    case = outlined(phantom_dataset(card).training[0])
    for image, target in _draws(_source(card, case, preset(name)), 12, 64):
        known = target != IGNORED
        truth = known & (target > 0)
        level = np.median(image[0][truth]) / 2 + np.median(image[0][known & ~truth]) / 2
        found = known & (image[0] > level)
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_a_mirror_image_of_an_abdomen_has_its_left_kidney_on_the_left() -> None:
    card = small_card("synapse")
    case = abdomen(card)
    assert card.view == "transpose"  # the patient's left is at the bottom of the network's slices
    middle = 32
    livers = set()
    for _, target in _draws(_source(card, case, BETTER), 30, 64):
        sides = [_centre(target == kidney)[0] > middle for kidney in (LEFT_KIDNEY, RIGHT_KIDNEY)]
        assert sides == [True, False]
        livers.add(bool(_centre(target == LIVER)[0] > middle))
    assert livers == {True, False}


def test_the_published_reflections_put_left_kidneys_on_either_side() -> None:
    card = small_card("synapse")
    sides = {
        bool(_centre(target == LEFT_KIDNEY)[0] > _centre(target == RIGHT_KIDNEY)[0])
        for _, target in _draws(_source(card, abdomen(card), Recipe()), 30, 64)
    }
    assert sides == {True, False}


def test_a_stack_of_unknown_direction_is_not_mirrored() -> None:
    card = small_card("acdc")
    for _, target in _draws(_source(card, heart(card), BETTER), 20, 64):
        assert _centre(target == 1)[1] > _centre(target == 3)[1]  # the right ventricle


def test_the_patients_sides_are_found_however_a_volume_is_stored() -> None:
    card = small_card("synapse")
    case = abdomen(card)
    # Stored with the patient's left first, and rows from posterior to anterior.
    turned = Volume(case.volume.array[:, ::-1, ::-1], np.diag([1.0, 1.0, 5.0, 1.0]), "turned")
    other = PhantomCase("turned", turned, case.classes[:, ::-1, ::-1])
    drawn = (_draws(_source(card, each, BETTER), 10, 64) for each in (case, other))
    for (image, target), (other_image, other_target) in zip(*drawn, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(target, other_target)


def test_an_image_that_tells_of_one_kidney_alone_is_not_mirrored() -> None:
    card = small_card("synapse")
    case = dataclasses.replace(abdomen(card), unknown=frozenset({"Right kidney"}))
    livers = {
        bool(_centre(target == LIVER)[0] > 32)
        for _, target in _draws(_source(card, case, BETTER), 20, 64)
    }
    assert len(livers) == 1


def test_pictures_are_flipped_unless_reflections_are_none() -> None:
    card = small_card("ham10000")
    for reflections, expected in (("none", {True}), ("published", {True, False})):
        source = _source(card, picture(card), Recipe(reflections=reflections))
        on_the_left = {bool(_centre(t == 1)[1] < 16) for _, t in _draws(source, 20, 32)}
        assert on_the_left == expected


def test_what_the_published_rotation_turns_in_is_zero_and_background() -> None:
    card = small_card("acdc", size=64)
    case = heart(card)
    recipe = Recipe(reflections="none")
    seen = 0
    for image, target in _draws(_source(card, case, recipe), 20, 64):
        assert not (target == IGNORED).any()
        if image[0, 0, 0] == 0:  # in z-scores that is the mean of the volume
            seen += 1
            assert target[0, 0] == 0
    assert seen > 3


@pytest.mark.parametrize("name", ["acdc", "synapse"])
def test_corners_that_are_turned_in_are_air_and_not_annotated(name: str) -> None:
    card = small_card(name)
    case = phantom_dataset(card).training[0]
    stored = case.volume.array
    air = (stored.min() - stored.mean()) / stored.std() if name == "acdc" else 0.0
    rotated = 0
    for image, target in _draws(_source(card, case, BETTER), 20, 64):
        inside = ndimage.binary_erosion(target == IGNORED, iterations=3, border_value=1)
        if inside.any():
            rotated += 1
            np.testing.assert_allclose(image[0][inside], air, atol=0.02)
    assert 5 < rotated < 15


def _picture_of(array: np.ndarray, classes: np.ndarray | None = None) -> PhantomCase:
    classes = np.zeros(array.shape[:2], np.uint8) if classes is None else classes
    return PhantomCase("picture", Volume(array[None], np.eye(4), "picture"), classes[None])


def test_pictures_are_resized_in_256_levels_before_anything_else() -> None:
    card = small_card("ham10000")
    case = picture(card)
    still = dataclasses.replace(Recipe(), reflections="none")
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(case.volume.array).permute(0, 3, 1, 2).contiguous(),
        (32, 32),
        mode="bilinear",
        antialias=True,
    )[0].numpy()
    unchanged = (resized - resized.min()) / np.float32(resized.max() - resized.min())
    same = [
        np.abs(image - unchanged).max() < 1e-6
        for image, _ in _draws(_source(card, case, still), 40, 32)
    ]
    # Neither rotated nor recoloured nor blurred: 0.5 x 0.8 x 0.7 of all.
    assert 4 < sum(same) < 20


def test_every_picture_fills_the_range_from_0_to_1_over_all_channels() -> None:
    card = small_card("busi")
    array = picture(card).volume.array[0].copy()
    array[..., 2] //= 4
    for image, _ in _draws(_source(card, _picture_of(array), Recipe()), 20, 32):
        assert (image.min(), image.max()) == (0.0, pytest.approx(1.0))
        assert image[2].max() < 0.9


def test_a_picture_of_one_structure_alone_is_background_as_published_and_itself_if_kept() -> None:
    card = small_card("ham10000")
    array = picture(card).volume.array[0]
    case = _picture_of(array, np.ones(array.shape[:2], np.uint8))
    assert all((target == 0).all() for _, target in _draws(_source(card, case, Recipe()), 8, 32))
    for _, target in _draws(_source(card, case, BETTER), 8, 32):
        assert set(np.unique(target)) <= {1, IGNORED} and (target == 1).mean() > 0.7


def test_the_published_masks_lie_up_to_half_a_pixel_beside_their_pictures() -> None:
    card = small_card("ham10000")
    array = np.repeat(np.arange(96, dtype=np.uint8)[None, :, None] * 2, 96, 0).repeat(3, 2)
    case = _picture_of(array, (np.arange(96) % 3 == 1).astype(np.uint8)[None].repeat(96, 0))
    still = Recipe(reflections="none")
    # Every third column is marked, the middle one of the three that become one pixel.
    published = [t for _, t in _draws(_source(card, case, still), 20, 32)]
    kept = [
        t for _, t in _draws(_source(card, case, dataclasses.replace(still, masks="kept")), 20, 32)
    ]
    assert any((target == 0).all() for target in published)
    assert any((target == 1).all() for target in kept)


def test_the_corners_of_a_rotated_picture_mirror_it_and_are_unknown_if_so_asked() -> None:
    card = small_card("ham10000")
    case = picture(card)
    for image, target in _draws(_source(card, case, Recipe()), 20, 64):
        assert target.max() == 1 and image.min() == 0
    ignored = [(t == IGNORED).any() for _, t in _draws(_source(card, case, BETTER), 30, 64)]
    assert 5 < sum(ignored) < 25


def test_a_grey_picture_is_taken_for_a_colour_one() -> None:
    card = small_card("busi")
    grey = np.linspace(0, 60_000, 40 * 40).reshape(1, 40, 40).astype(np.uint16)
    case = PhantomCase("grey", Volume(grey, LPS, "grey"), np.zeros(grey.shape, np.uint8))
    for image, _ in _draws(_source(card, case, Recipe()), 5, 32):
        assert image.shape[0] == 3 and (image[0] == image[2]).all() and np.ptp(image) > 0.9


def test_the_elastic_deformation_of_the_published_settings_moves_nothing() -> None:
    """Which is why there is none here: OpenCV rounds what is moved to 1/32 of a pixel."""
    noise = np.random.default_rng(0).uniform(-1, 1, (224, 224))
    moved = np.abs(ndimage.gaussian_filter(noise, 50, mode="mirror"))
    assert moved.max() < 1 / 64
