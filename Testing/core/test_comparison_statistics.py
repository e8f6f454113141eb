"""Means and intervals of a few seeds, against tables anybody can look up."""

from __future__ import annotations

import pytest

from GDLACore.comparison.statistics import estimate, mean_over_structures, means_by_structure

ROWS = [
    {"structure": "liver", "dice": 0.8, "hd95": None},
    {"structure": "liver", "dice": 0.6, "hd95": 4.0},
    {"structure": "spleen", "dice": 0.1, "hd95": None},
]


def test_the_interval_is_students() -> None:
    found = estimate([0.70, 0.72, 0.77])
    assert found.mean == pytest.approx(0.73)
    assert found.sd == pytest.approx(0.0360555)
    # t of 2 degrees of freedom at 97.5 % is 4.302653 in every table.
    half = 4.302653 * 0.0360555 / 3**0.5
    assert (found.low, found.high) == pytest.approx((0.73 - half, 0.73 + half))


def test_one_seed_tells_nothing_of_others() -> None:
    found = estimate([0.7])
    assert (found.mean, found.sd, found.low, found.high) == (0.7, None, None, None)


def test_structures_count_alike_however_many_images_show_them() -> None:
    assert means_by_structure(ROWS, "dice") == pytest.approx({"liver": 0.7, "spleen": 0.1})
    assert mean_over_structures(ROWS, "dice") == pytest.approx(0.4)


def test_what_is_not_defined_is_left_out() -> None:
    assert means_by_structure(ROWS, "hd95") == {"liver": 4.0}
    assert mean_over_structures(ROWS[:1], "hd95") is None
