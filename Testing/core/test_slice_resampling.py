"""A slice's way into the network's square, and its labels' way back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from GDLACore.imaging.slice_resampling import slice_resampling

SIZES = [((512, 512), 224), ((45, 120), 64), ((495, 47), 64), ((64, 64), 64), ((1, 300), 32)]


def picture(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def parts(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(4).integers(1, 5, shape).astype(np.uint8)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_a_slice_goes_in_as_scipy_zooms_it(shape, size):
    plan = slice_resampling("spline3", shape, size)
    image = picture(shape)
    expected = ndimage.zoom(image.astype(np.float64), (size / shape[0], size / shape[1]), order=3)
    np.testing.assert_allclose(plan.rows @ image @ plan.columns.T, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(600, 450), (45, 120), (64, 64)])
def test_a_photograph_goes_in_as_torch_shrinks_it(shape):
    torch = pytest.importorskip("torch")
    plan = slice_resampling("antialias", shape, 64)
    image = picture(shape)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None], (64, 64), mode="bilinear", antialias=True
    )[0, 0]
    np.testing.assert_allclose(plan.rows @ image @ plan.columns.T, expected, atol=1e-5)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_labels_go_both_ways_as_scipy_zooms_them(shape, size):
    plan = slice_resampling("spline3", shape, size)
    inside, outside = parts((size, size)), parts(shape)
    back = ndimage.zoom(inside, (shape[0] / size, shape[1] / size), order=0)
    np.testing.assert_array_equal(plan.labels_out(inside), back)
    into = ndimage.zoom(outside, (size / shape[0], size / shape[1]), order=0)
    np.testing.assert_array_equal(plan.labels_in(outside), into)


def test_where_scipy_falls_off_the_last_row_so_do_the_labels():
    plan = slice_resampling("spline3", (495, 47), 64)
    labels = plan.labels_out(np.full((64, 64), 3, np.uint8))
    assert not labels[-1].any()
    assert not labels[:, -1].any()
    assert (labels[:-1, :-1] == 3).all()


def test_labels_of_a_photograph_stay_where_they_are():
    # Half of the square is half of the picture, on both sides and at any size.
    plan = slice_resampling("antialias", (600, 450), 64)
    labels = np.zeros((64, 64), np.uint8)
    labels[32:, :32] = 1
    full = plan.labels_out(labels)
    assert full[300:, :225].all()
    assert full.sum() == 300 * 225
    np.testing.assert_array_equal(plan.labels_in(full), labels)


def test_many_label_maps_go_together_as_they_go_alone():
    plan = slice_resampling("spline3", (45, 120), 64)
    several = np.stack([parts((64, 64)), parts((64, 64))[::-1]])
    alone = [plan.labels_out(one) for one in several]
    np.testing.assert_array_equal(plan.labels_out(several), alone)


@pytest.mark.parametrize("resampling", ["spline3", "antialias"])
def test_no_weight_is_so_small_that_it_slows_the_processor_down(resampling):
    plan = slice_resampling(resampling, (512, 512), 224)
    weights = np.abs(plan.rows[plan.rows != 0])
    assert weights.min() >= 1e-12


@pytest.mark.parametrize("resampling", ["spline3", "antialias"])
def test_what_is_shared_cannot_be_changed(resampling):
    plan = slice_resampling(resampling, (45, 120), 64)
    assert plan is slice_resampling(resampling, (45, 120), 64)
    for array in (plan.rows, plan.columns, *plan.nearest_in, *plan.nearest_out):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="bicubic"):
        slice_resampling("bicubic", (64, 64), 64)
