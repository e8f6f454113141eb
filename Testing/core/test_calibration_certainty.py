"""The measure that views are ranked by, and the slices it is taken on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from phantom import GEOMETRIES, make_volume

from GDLACore.calibration.certainty import Answer, condensed, joined, lead
from GDLACore.calibration.slices import spread_slices
from GDLACore.imaging.volume import Volume


def answer_of(labels: np.ndarray, gain: float, classes: int = 4) -> Answer:
    """Return the answer of a network that says ``labels`` [n, h, w] with this difference."""
    logits = gain * (np.arange(classes)[:, None, None] == labels[:, None])
    return condensed(logits.astype(np.float32))


def quarters(n: int = 3) -> np.ndarray:
    labels = np.zeros((n, 8, 8), int)
    labels[:, :4, 4:], labels[:, 4:, :4], labels[:, 4:, 4:] = 1, 2, 3
    return labels


@pytest.mark.parametrize("label", [0, 2], ids=["all background", "all one structure"])
def test_one_answer_for_everything_counts_for_nothing(label: int) -> None:
    answer = answer_of(np.full((3, 8, 8), label), gain=50)
    assert answer.certainty == pytest.approx(0.0, abs=1e-4)
    assert answer.foreground == (label > 0)


def test_a_firm_and_varied_answer_is_certain_and_a_hesitant_one_is_not() -> None:
    firm, hesitant, none = (answer_of(quarters(), gain).certainty for gain in (20, 2, 0))
    assert firm == pytest.approx(1.0, abs=0.02)
    assert 0.1 < hesitant < 0.6
    assert none == pytest.approx(0.0, abs=1e-4)


def test_certainty_is_the_mutual_information_of_pixel_and_class_over_the_entropy_of_classes() -> (
    None
):
    logits = np.random.default_rng(0).normal(0, 2, (4, 5, 6, 7)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -(p * np.log(p)).sum(axis=1).mean()
    mean = p.mean(axis=(0, 2, 3))
    of_mean = -(mean * np.log(mean)).sum()
    expected = 1 - (entropy + 0.02) / (of_mean + 0.02)
    assert condensed(logits).certainty == pytest.approx(expected, rel=1e-5)


def test_huge_logits_overflow_nowhere() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert answer_of(quarters(), gain=1e30).certainty == pytest.approx(1.0, abs=0.02)


def test_batches_make_no_difference() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (5, 3, 4, 4)).astype(np.float32)
    whole = condensed(logits)
    parts = joined([condensed(logits[:2]), condensed(logits[2:3]), condensed(logits[3:])])
    assert parts.certainty == pytest.approx(whole.certainty, abs=1e-12)
    assert parts.foreground == whole.foreground


def test_the_error_of_a_lead_is_the_jackknife_over_slices() -> None:
    random = np.random.default_rng(2)
    first, second = (random.normal(0, s, (6, 3, 5, 5)).astype(np.float32) for s in (3, 1))
    found = lead(condensed(first), condensed(second))
    without = [
        condensed(np.delete(first, k, 0)).certainty - condensed(np.delete(second, k, 0)).certainty
        for k in range(6)
    ]
    expected = np.sqrt(5 / 6 * np.square(np.array(without) - np.mean(without)).sum())
    assert found.difference == pytest.approx(
        condensed(first).certainty - condensed(second).certainty
    )
    assert found.error == pytest.approx(expected, rel=1e-6)
    assert found.clear


def test_a_lead_that_one_slice_alone_makes_is_not_clear() -> None:
    labels = quarters(6)
    gains = np.full((6, 1, 1, 1), 3.0)
    one_firm = gains.copy()
    one_firm[0] = 20.0
    known = np.arange(4)[:, None, None] == labels[:, None]
    better, plain = (condensed((g * known).astype(np.float32)) for g in (one_firm, gains))
    found = lead(better, plain)
    assert found.difference > 0.05 and not found.clear


def test_a_single_slice_gives_a_clear_lead_only_if_it_is_large() -> None:
    firm, less, hesitant = (answer_of(quarters(1), gain) for gain in (20, 4, 2))
    assert lead(firm, hesitant).clear and lead(firm, hesitant).error is None
    assert 0.05 < lead(firm, less).difference < 0.2 and not lead(firm, less).clear
    assert not lead(hesitant, firm).clear and not lead(firm, firm).clear


def filled(start: int, stop: int, count: int = 30) -> Volume:
    """Return a CT of air with a body in slices ``start`` to ``stop`` - 1 of ``count``."""
    array = np.full((count, 16, 16), -1000, np.int16)
    array[start:stop, 4:12, 4:12] = 40
    return Volume(array, np.eye(4), "ct", "CT")


def test_slices_are_spread_over_the_filled_ones() -> None:
    chosen = spread_slices(filled(10, 22), "axial", 4)
    assert chosen == [10, 14, 17, 21]
    assert spread_slices(filled(10, 13), "axial", 12) == [10, 11, 12]
    assert spread_slices(filled(0, 1, 1), "axial", 12) == [0]


def with_unmeasured_border(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[:, :2] = np.nan
    return array


@pytest.mark.parametrize(
    "changed",
    [
        lambda array: array * 0.5 + 7.0,
        lambda array: (array + 1000).astype(np.uint16),
        with_unmeasured_border,
    ],
    ids=["scaled", "unsigned", "with NaN"],
)
def test_the_scale_of_the_values_does_not_change_the_slices(
    changed: Callable[[np.ndarray], np.ndarray],
) -> None:
    volume = filled(10, 22)
    other = Volume(changed(volume.array), volume.ijk_to_ras, "other")
    assert spread_slices(other, "axial", 4) == spread_slices(volume, "axial", 4)


@pytest.mark.parametrize("array", [np.zeros((6, 4, 4)), np.full((6, 4, 4), np.nan)])
def test_a_volume_without_content_still_gives_slices(array: np.ndarray) -> None:
    assert spread_slices(Volume(array, np.eye(4), "empty"), "axial", 3) == [0, 2, 5]


def test_colour_and_every_slice_axis_work() -> None:
    array = np.random.default_rng(0).integers(0, 255, (5, 9, 9, 3)).astype(np.uint8)
    assert spread_slices(Volume(array, np.eye(4), "photos"), "acquisition", 2) == [0, 4]
    coronal = make_volume(GEOMETRIES["coronal storage"], (4, 6, 8))
    assert max(spread_slices(coronal, "axial", 20)) == 5
