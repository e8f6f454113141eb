"""The arithmetic of the benchmark that says whether doubtful slices are the wrong ones."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from phantom import make_card

pytest.importorskip("PIL")

sys.path.append(str(Path(__file__).resolve().parents[2] / "Testing/bench"))

from review_efficiency_curve import (
    area,
    by_doubt,
    correlation,
    curve,
    efficiency,
    share_within,
)
from review_efficiency_plot import STYLES, Panel, drawn
from review_efficiency_signals import combined, of_labels, sides_swapped

WRONG = np.array([4.0, 0.0, 1.0, 5.0])


def test_a_curve_goes_from_nothing_to_everything_in_the_order_of_review() -> None:
    assert curve(WRONG, np.array([3, 0, 1, 2])).tolist() == [0.0, 0.5, 0.9, 0.9, 1.0]


def test_the_best_order_is_one_and_its_reverse_as_far_below_random() -> None:
    best = by_doubt(WRONG)
    assert best.tolist() == [3, 0, 2, 1]
    assert efficiency(WRONG, best) == pytest.approx(1)
    assert efficiency(WRONG, best[::-1]) == pytest.approx(-1)


def test_all_random_orders_together_have_the_area_that_is_called_random() -> None:
    areas = [
        area(curve(WRONG, np.array(order))) for order in itertools.permutations(range(len(WRONG)))
    ]
    assert np.mean(areas) == pytest.approx(0.5)


def test_equally_doubtful_slices_are_reviewed_as_they_are_stored() -> None:
    assert by_doubt(np.array([1.0, 2.0, 1.0, 2.0])).tolist() == [1, 3, 0, 2]


def test_the_share_of_part_of_a_slice_lies_between_its_ends() -> None:
    order = by_doubt(WRONG)
    assert share_within(WRONG, order, 0.25) == 0.5
    assert share_within(WRONG, order, 0.375) == pytest.approx(0.7)


def test_the_correlation_is_that_of_ranks() -> None:
    assert correlation(WRONG, WRONG**3) == pytest.approx(1)


def test_neighbours_that_agree_against_a_slice_are_told_from_a_structures_end() -> None:
    labels = np.zeros((4, 2, 2), np.uint8)
    labels[1, 0, 0] = 1  # alone
    labels[2:, 1, 1] = 1  # begins
    signals = of_labels(labels)
    assert signals["unlike both neighbours"].tolist() == [0, 1, 0, 0]
    assert signals["change from neighbours"].tolist() == [1, 1.5, 1, 0]
    assert signals["labelled area"].tolist() == [0, 1, 1, 1]


def test_sums_of_signals_are_named_after_their_parts() -> None:
    names = ("margin", "unlike both neighbours", "change from neighbours")
    names += ("mirrored left-right", "mirrored up-down")
    sums = combined({name: np.array([1.0 + number]) for number, name in enumerate(names)})
    assert sums["margin + change from neighbours"].tolist() == [4.0]
    assert set(names).isdisjoint(sums)


def test_left_structures_of_a_mirrored_image_are_called_left_again() -> None:
    card = make_card(("Left kidney", "Liver", "Left lung", "Right kidney"))
    scores = np.arange(5.0).reshape(1, 5, 1, 1)
    assert sides_swapped(scores, card)[0, :, 0, 0].tolist() == [0, 4, 2, 3, 1]


def test_the_picture_shows_every_curve() -> None:
    curves = {name: [0.0, 0.2 * number, 1.0] for number, name in enumerate(STYLES, start=1)}
    picture = np.asarray(drawn([Panel(str(number), curves) for number in range(4)]))
    assert picture.ndim == 3 and picture.shape[0] > 2 * 300  # two rows
    for style in STYLES.values():
        assert (np.abs(picture.astype(int) - style.color).sum(axis=2) < 40).any()
