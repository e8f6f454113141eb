from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from GDLACore.imaging.resampling import (
    antialias_matrix,
    nearest_indices,
    spline_matrix,
)

SIZES = [1, 2, 3, 5, 20, 21, 32, 45, 97, 120]
PAIRS = [
    *itertools.product(SIZES, SIZES),
    *[(512, 224), (224, 512), (224, 216), (216, 224), (512, 160), (160, 512), (257, 64), (64, 257)],
]


def picture(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows * 1000 + columns).normal(size=(rows, columns))


@pytest.mark.parametrize(("n_in", "n_out"), PAIRS)
def test_the_spline_matrices_give_what_scipy_zoom_gives(n_in, n_out):
    image = picture(n_in, 9)
    expected = ndimage.zoom(image, (n_out / n_in, 7 / 9), order=3)
    result = spline_matrix(n_in, n_out) @ image @ spline_matrix(9, 7).T
    np.testing.assert_allclose(result, expected, atol=1e-10)


@pytest.mark.parametrize(("n_in", "n_out"), PAIRS)
def test_the_nearest_samples_are_those_of_scipy_zoom(n_in, n_out):
    labels = 1 + np.arange(n_in * 9).reshape(n_in, 9)
    expected = ndimage.zoom(labels, (n_out / n_in, 12 / 9), order=0)
    rows, columns = nearest_indices(n_in, n_out)[:, None], nearest_indices(9, 12)[None, :]
    result = np.where((rows < 0) | (columns < 0), 0, labels[rows, columns])
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("rows", "columns"), [(45, 120), (120, 45), (1, 60), (2, 2)])
def test_a_whole_rectangular_slice_is_resampled_as_by_scipy(rows, columns):
    image = picture(rows, columns)
    expected = ndimage.zoom(image, (64 / rows, 64 / columns), order=3)
    result = spline_matrix(rows, 64) @ image @ spline_matrix(columns, 64).T
    np.testing.assert_allclose(result, expected, atol=1e-10)


def test_a_volume_zoomed_at_once_equals_its_slices():
    volume = np.random.default_rng(0).normal(size=(4, 30, 40))
    expected = ndimage.zoom(volume, (1, 32 / 30, 32 / 40), order=3)
    result = spline_matrix(30, 32) @ volume @ spline_matrix(40, 32).T
    np.testing.assert_allclose(result, expected, atol=1e-10)


@pytest.mark.parametrize(("n_in", "n_out"), [(512, 224), (224, 216)])
def test_the_last_row_is_zero_where_scipys_rounding_leaves_the_image(n_in, n_out):
    assert not spline_matrix(n_in, n_out)[-1].any()
    assert nearest_indices(n_in, n_out)[-1] == -1


@pytest.mark.parametrize(("n_in", "n_out"), [(224, 512), (224, 256), (216, 224), (216, 630)])
def test_the_last_row_is_kept_where_scipy_keeps_it(n_in, n_out):
    assert spline_matrix(n_in, n_out)[-1, -1] == pytest.approx(1.0)
    assert nearest_indices(n_in, n_out)[-1] == n_in - 1


@pytest.mark.parametrize("function", [spline_matrix, antialias_matrix])
@pytest.mark.parametrize("size", [1, 2, 45])
def test_the_same_size_changes_nothing(function, size):
    np.testing.assert_allclose(function(size, size), np.eye(size), atol=1e-12)


@pytest.mark.parametrize(("n_in", "n_out"), PAIRS)
def test_weights_of_the_antialiased_matrix_sum_to_one(n_in, n_out):
    matrix = antialias_matrix(n_in, n_out)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    assert matrix.min() >= 0


@pytest.mark.parametrize(("n_in", "n_out"), PAIRS)
def test_torch_agrees_with_the_antialiased_matrix(n_in, n_out):
    torch = pytest.importorskip("torch")
    image = picture(n_in, 9)
    batch = torch.from_numpy(image)[None, None]
    expected = torch.nn.functional.interpolate(batch, (n_out, 7), mode="bilinear", antialias=True)
    smooth = antialias_matrix(n_in, n_out) @ image @ antialias_matrix(9, 7).T
    np.testing.assert_allclose(smooth, expected[0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("function", [spline_matrix, nearest_indices, antialias_matrix])
def test_a_cached_operator_cannot_be_changed_by_its_user(function):
    operator = function(8, 4)
    assert function(8, 4) is operator
    with pytest.raises(ValueError):
        operator[0] = 1
