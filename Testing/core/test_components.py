"""Keeping the largest part of every structure."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.imaging.components import keep_largest_components


def cleaned(labels: np.ndarray, structures: int = 3) -> np.ndarray:
    copy = labels.copy()
    assert list(keep_largest_components(copy, structures)) == list(range(1, structures + 1))
    return copy


def test_only_the_largest_part_of_each_structure_stays():
    labels = np.zeros((6, 8, 9), np.uint8)
    labels[0:3, 0:3, 0:3] = 1
    labels[5, 5:7, 5] = 1
    labels[3, 7, 0:4] = 2
    labels[0, 7, 8] = 2
    expected = labels.copy()
    expected[5, 5:7, 5] = expected[0, 7, 8] = 0
    np.testing.assert_array_equal(cleaned(labels), expected)


def test_a_structure_inside_another_ones_box_is_left_alone():
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, [0, 8], :] = labels[0, :, [0, 8]] = 1  # a ring
    labels[0, 4, 4] = 2
    labels[0, 2, 2] = 1
    expected = labels.copy()
    expected[0, 2, 2] = 0
    np.testing.assert_array_equal(cleaned(labels), expected)


def test_voxels_that_touch_at_a_corner_belong_together():
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_parts_of_equal_size_all_stay_however_the_volume_is_stored():
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[0, 0, :3] = labels[4, 4, 2:] = labels[2, 2, 2] = 1
    expected = labels.copy()
    expected[2, 2, 2] = 0
    for stored in (np.s_[:], np.s_[::-1], np.s_[:, ::-1, ::-1]):
        np.testing.assert_array_equal(cleaned(labels[stored]), expected[stored])


@pytest.mark.parametrize("fill", [0, 1])
def test_nothing_and_everything_stay_as_they_are(fill):
    labels = np.full((3, 4, 5), fill, np.uint8)
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_structures_above_255_are_cleaned_too():
    labels = np.zeros((4, 4, 4), np.uint16)
    labels[0, 0, :2] = labels[3, 3, 3] = 300
    result = cleaned(labels, 300)
    assert (result == 300).sum() == 2
    assert result.dtype == np.uint16
