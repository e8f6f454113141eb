"""Which slices are called doubtful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from GDLACore.review.doubt import slice_doubt


def doubt(confidence: np.ndarray, axis: int, indices: Sequence[int]) -> list[float]:
    return slice_doubt(confidence, axis, indices).tolist()


@pytest.fixture
def confidence() -> np.ndarray:
    """Certain but for one row, j = 2, of the slice k = 1."""
    certain = np.ones((3, 4, 5), np.float16)
    certain[1, 2] = 0.5
    return certain


def test_the_slice_with_the_weakest_margins_is_the_most_doubtful(confidence: np.ndarray) -> None:
    assert doubt(confidence, 0, (0, 1, 2)) == [0.0, 1.25, 0.0]


def test_slices_are_those_across_the_axis_whichever_it_is(confidence: np.ndarray) -> None:
    assert doubt(confidence, 1, range(4)) == [0.0, 0.0, 1.25, 0.0]
    assert doubt(confidence, 2, range(5)) == [0.25] * 5


def test_doubt_is_the_voxels_expected_to_be_wrong_where_two_classes_compete() -> None:
    probability = np.linspace(0.5, 1, 30).reshape(1, 5, 6)
    margin = (2 * probability - 1).astype(np.float16)
    assert doubt(margin, 0, [0]) == pytest.approx([(1 - probability).sum()], rel=1e-3)


def test_doubts_come_in_the_order_of_the_indices(confidence: np.ndarray) -> None:
    assert doubt(confidence, 1, (2, 0)) == [1.25, 0.0]
    assert doubt(confidence, 1, (3, 2, 1)) == [0.0, 1.25, 0.0]


def test_slices_that_were_never_computed_change_no_other(confidence: np.ndarray) -> None:
    expected = doubt(confidence, 0, (0, 2))
    confidence[1] = 0.0
    assert doubt(confidence, 0, (0, 2)) == expected


@pytest.mark.parametrize("axis", range(3))
def test_a_single_slice_has_its_doubt(axis: int) -> None:
    shape = [4, 4, 4]
    shape[axis] = 1
    assert doubt(np.zeros(shape, np.float16), axis, [0]) == [8.0]


@pytest.mark.parametrize("axis", range(3))
def test_nothing_asked_for_is_nothing_returned(confidence: np.ndarray, axis: int) -> None:
    nothing = slice_doubt(confidence, axis, ())
    assert nothing.shape == (0,) and nothing.dtype == np.float64


@pytest.mark.parametrize("axis", range(3))
def test_a_volume_without_voxels_has_slices_without_doubt(axis: int) -> None:
    shape = [2, 2, 2]
    shape[(axis + 1) % 3] = 0
    assert doubt(np.zeros(shape, np.float16), axis, (1, 0)) == [0.0, 0.0]
    assert doubt(np.zeros((0, 0, 0), np.float16), axis, ()) == []


def test_a_slice_that_does_not_exist_is_refused(confidence: np.ndarray) -> None:
    with pytest.raises(IndexError):
        slice_doubt(confidence, 0, (0, 3))


def test_a_large_slice_is_summed_without_rounding_it_away() -> None:
    """float16 ends at 65504, and float32 sums lose the small beside the large."""
    confidence = np.full((2, 700, 700), 0.999, np.float16)
    confidence[1, 0, 0] = 0.0
    first, second = doubt(confidence, 0, (0, 1))
    exact = 490_000 * (1 - float(np.float16(0.999))) / 2
    assert first == pytest.approx(exact, rel=1e-3)
    assert second > first


def test_the_confidence_of_a_file_is_read_and_left_as_it_is(confidence: np.ndarray) -> None:
    before = confidence.copy()
    confidence.flags.writeable = False
    slice_doubt(confidence, 2, (4, 1))
    assert np.array_equal(confidence, before)
