"""What a network was taught on, recovered from its weights, and compared with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import golden
import numpy as np
import pytest
from phantom import make_card

from GDLACore.calibration.input_check import AGREES, DIFFERS, UNKNOWN, InputVerdict, check_inputs
from GDLACore.calibration.input_statistics import InputStatistics, input_statistics
from GDLACore.imaging.intensity import normaliser
from GDLACore.imaging.reading import read_volume
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path
from GDLACore.weights.loading import load_weights
from GDLACore.weights.names import network_name

WINDOW = IntensityProfile("ct_window", -125.0, 275.0)
ZSCORE = IntensityProfile("zscore_volume")


def stem_trained_on(images: np.ndarray, *, batch: int = 8) -> dict[str, np.ndarray]:
    """Return a stem whose batch norms saw ``images`` [n, c, h, w] in training, in batches."""
    torch = pytest.importorskip("torch")
    from GDLACore.network.stem import ResidualStem

    with torch.random.fork_rng():
        torch.manual_seed(0)
        stem = ResidualStem(images.shape[1], 64).train()
    for norm in (stem.norm1, stem.norm2, stem.norm3):
        norm.momentum = None  # the mean of all batches, as after a training without end
    images = np.random.default_rng(0).permutation(images).astype(np.float32)
    with torch.no_grad():
        for start in range(0, len(images), batch):
            stem(torch.from_numpy(images[start : start + batch]))
    return {f"stem.{name}": value.numpy() for name, value in stem.state_dict().items()}


def check(
    weights: dict[str, np.ndarray], profile: IntensityProfile, **card: object
) -> InputVerdict:
    asked = dataclasses.replace(make_card(), intensity=profile, **card)
    return check_inputs(input_statistics(weights), asked)


def of_one_channel(mean: float, deviation: float) -> InputStatistics:
    return InputStatistics((mean,), (deviation,), 1.0, 64, 0.001, 0.001)


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return read_volume(resource_path("samples", "ct-abdomen-dicom")).array


def sample_slices(sample: np.ndarray, profile: IntensityProfile) -> np.ndarray:
    return normaliser(profile, sample)(sample[:, None, ::8, ::8])


@pytest.mark.parametrize(
    "profile", [WINDOW, ZSCORE, IntensityProfile("minmax_volume"), IntensityProfile("none")]
)
def test_mean_and_deviation_of_real_training_slices_come_out_of_the_weights(
    sample: np.ndarray, profile: IntensityProfile
) -> None:
    slices = sample_slices(sample, profile)
    found = input_statistics(stem_trained_on(slices, batch=len(slices)))
    assert found.consistent and found.estimates == 64
    assert found.mean == pytest.approx(float(slices.mean()), abs=0.001 * float(slices.std()))
    assert found.deviation == pytest.approx(float(slices.std()), rel=0.001)
    assert found.mean_spread < 0.001 and found.deviation_spread < 0.001


@pytest.mark.parametrize(
    ("trained", "card", "outcome", "likely"),
    [
        (WINDOW, WINDOW, AGREES, "ct_window"),
        (WINDOW, ZSCORE, DIFFERS, "ct_window"),
        (ZSCORE, ZSCORE, AGREES, "zscore_volume"),
        (ZSCORE, WINDOW, DIFFERS, "zscore_volume"),
        (IntensityProfile("none"), WINDOW, DIFFERS, "none"),
        (IntensityProfile("none"), IntensityProfile("none"), AGREES, "none"),
        (WINDOW, IntensityProfile("none"), UNKNOWN, "ct_window"),
    ],
)
def test_a_card_that_scales_otherwise_than_the_training_did_is_told(
    sample: np.ndarray,
    trained: IntensityProfile,
    card: IntensityProfile,
    outcome: str,
    likely: str,
) -> None:
    verdict = check(stem_trained_on(sample_slices(sample, trained)), card)
    assert verdict.outcome == outcome and likely in verdict.kinds
    assert verdict.rules_out(card) == (outcome == DIFFERS)


def test_the_demonstration_model_was_taught_on_what_its_card_says() -> None:
    weights = load_weights("demo-ct").tensors
    found = input_statistics(weights)
    # Half-precision weights: every one of the 32 estimates is good to a thousandth.
    assert found.consistent and found.mean_spread < 0.001 and found.deviation_spread < 0.001
    assert found.mean == pytest.approx(0.1295, abs=0.001)
    assert found.deviation == pytest.approx(0.202, abs=0.001)
    verdict = check_inputs(found, find("demo-ct").card)
    assert verdict.outcome == AGREES and "0.129" in verdict.sentence


def colours(n: int = 24) -> np.ndarray:
    """Return images with channels of unequal, correlated values."""
    random = np.random.default_rng(3)
    shared, own = random.random((n, 1, 12, 12)), random.random((n, 3, 12, 12))
    mix, base = np.reshape([0.5, 0.3, 0.6], (1, 3, 1, 1)), np.reshape([0.3, 0.2, 0.1], (1, 3, 1, 1))
    return base + mix * shared + 0.15 * own


def test_three_channels_have_their_own_means_and_deviations() -> None:
    images = colours()
    found = input_statistics(stem_trained_on(images, batch=len(images)))
    flat = images.transpose(1, 0, 2, 3).reshape(3, -1)
    assert found.consistent and not found.grey
    assert found.means == pytest.approx(flat.mean(axis=1), abs=0.001)
    assert found.deviations == pytest.approx(flat.std(axis=1), rel=0.002)
    assert found.correlation == pytest.approx(np.corrcoef(flat).min(), abs=0.02)
    assert (found.mean, found.deviation) == pytest.approx((flat.mean(), flat.std()), rel=0.02)


def test_grey_images_in_three_equal_channels_are_recognised() -> None:
    weights = stem_trained_on(np.repeat(colours()[:, :1], 3, axis=1))
    found = input_statistics(weights)
    assert found.consistent and found.grey
    card = {"modality": "US", "in_channels": 3}
    assert "grey" in check(weights, IntensityProfile("minmax_image"), **card).sentence
    assert "differed" in check(stem_trained_on(colours()), WINDOW, **card).sentence


def untrained() -> dict[str, np.ndarray]:
    pytest.importorskip("torch")
    from GDLACore.network.stem import ResidualStem

    return {f"stem.{n}": v.numpy() for n, v in ResidualStem(1, 64).state_dict().items()}


def made_up() -> dict[str, np.ndarray]:
    weights = golden.recipe_weights(golden.official_shapes("pvtgdla"))
    return {network_name(name): value for name, value in weights.items()}


def trained_on_with_frozen_norms() -> dict[str, np.ndarray]:
    weights = stem_trained_on(colours()[:, :1])
    random = np.random.default_rng(0)
    shape = weights["stem.conv3.weight"].shape
    weights["stem.conv3.weight"] = weights["stem.conv3.weight"] + random.normal(0, 0.2, shape)
    return weights


def all_zero() -> dict[str, np.ndarray]:
    return {name: np.zeros_like(value) for name, value in made_up().items()}


@pytest.mark.parametrize(
    "weights",
    [untrained, made_up, trained_on_with_frozen_norms, all_zero],
    ids=lambda f: f.__name__,
)
def test_weights_that_tell_nothing_are_not_believed(
    weights: Callable[[], dict[str, np.ndarray]],
) -> None:
    found = input_statistics(weights())
    assert not found.consistent
    verdict = check_inputs(found, make_card())
    assert verdict.outcome == UNKNOWN and verdict.kinds == ()
    assert "do not tell" in verdict.sentence and "nan" not in verdict.sentence


def test_a_few_outputs_that_went_astray_do_not_spoil_the_estimate() -> None:
    images = colours()[:, :1]
    weights = stem_trained_on(images, batch=len(images))
    weights["stem.norm3.running_mean"][:9] += 5.0
    weights["stem.norm3.running_var"][4:12] *= 30.0
    weights["stem.conv3.weight"][60] = 0.0
    weights["stem.norm3.running_mean"][61] = np.nan
    found = input_statistics(weights)
    assert found.consistent and found.estimates == 62
    assert (found.mean, found.deviation) == pytest.approx((images.mean(), images.std()), rel=0.02)


@pytest.mark.parametrize(
    ("mean", "deviation", "modality", "text"),
    [
        (0.25, 0.28, "CT", "0 to 1"),
        (0.12, 0.13, "MR", "0 to 1"),
        (0.0, 0.97, "MR", "mean 0 and deviation 1"),
        (0.02, 0.9, "CT", "mean 0 and deviation 1"),
        (-0.7, 0.3, "MR", "-1 to 1"),
        (-0.4, 0.55, "CT", "-1 to 1"),
        (62.0, 48.0, "US", "0 to 255"),
        (160.0, 40.0, "RGB", "0 to 255"),
        (-560.0, 480.0, "CT", "Hounsfield units as stored"),
        (-40.0, 90.0, "CT", "clipped to a window"),
        (1e5, 3.0, "CT", "no scale known"),
    ],
)
def test_usual_ways_to_scale_training_images_are_recognised(
    mean: float, deviation: float, modality: str, text: str
) -> None:
    channels = 3 if modality == "RGB" else 1
    card = dataclasses.replace(make_card(), modality=modality, in_channels=channels)
    verdict = check_inputs(of_one_channel(mean, deviation), card)
    assert text in verdict.sentence
    assert verdict.sentence.endswith(".") and ".." not in verdict.sentence


def test_a_deviation_that_no_values_from_0_to_1_can_have_is_not_taken_for_theirs() -> None:
    # 0.1 of all values 1 and the others 0 have deviation 0.3; more there cannot be.
    card: ModelCard = make_card()
    assert check_inputs(of_one_channel(0.1, 0.29), card).outcome == AGREES
    assert check_inputs(of_one_channel(0.1, 0.45), card).outcome == DIFFERS
