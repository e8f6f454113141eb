"""Labels of enlarged logits: those of interpolating every pixel, though few are interpolated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from GDLACore.engine.label_maps import enlarged_labels, largest
from GDLACore.imaging.slice_resampling import SliceResampling, slice_resampling

SIDE = 32

# Enlarged, reduced, one of each, unchanged, and down to one pixel.
SHAPES = [
    (130, 97),
    (64, 64),
    (33, 500),
    (SIDE, SIDE),
    (20, 31),
    (100, 20),
    (7, 90),
    (1, 40),
    (40, 1),
    (1, 1),
    (2, 2),
]

GRIDS = {"spline3": "corners aligned", "antialias": "half pixel"}

grids = pytest.mark.parametrize("grid", GRIDS, ids=GRIDS.get)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def noisy(classes: int = 5, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Return logits of which no two neighbours agree."""
    return np.random.default_rng(seed).normal(size=(classes, side, side)).astype(np.float32)


def smooth(classes: int = 5, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Return logits with regions, as a network gives."""
    return 10 * ndimage.gaussian_filter(noisy(classes, side, seed), (0, side / 16, side / 16))


KINDS = {"smooth": smooth, "noisy": noisy}


def every_pixel(logits: np.ndarray, shape: tuple[int, int], grid: str) -> np.ndarray:
    """Return all logits at ``shape``, float64: scipy's, and where a side shrinks, by definition."""
    for axis, side in enumerate(shape, start=1):
        logits = np.moveaxis(_axis(np.moveaxis(logits, axis, 0).astype(float), side, grid), 0, axis)
    return logits


def _axis(values: np.ndarray, n_out: int, grid: str) -> np.ndarray:
    n_in = len(values)
    if grid == "antialias" and n_out < n_in:
        return np.stack(
            [_triangle(values, (i + 0.5) * n_in / n_out, n_in / n_out) for i in range(n_out)]
        )
    if grid == "spline3":
        places = np.linspace(0, n_in - 1, n_out) if n_out > 1 else np.zeros(1)
    else:
        places = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    lines = values.reshape(n_in, -1).T
    enlarged = [ndimage.map_coordinates(one, [places], order=1, mode="nearest") for one in lines]
    return np.stack(enlarged, axis=1).reshape(n_out, *values.shape[1:])


def _triangle(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Return the mean of ``values`` around ``centre``, weighted by a triangle."""
    weights = [max(0.0, 1 - abs(i + 0.5 - centre) / width) for i in range(len(values))]
    return np.average(values, axis=0, weights=weights)


def assert_labels_of(result: np.ndarray, enlarged: np.ndarray) -> None:
    """Compare with the largest of ``enlarged``, where rounding cannot have decided it."""
    first, second = np.sort(enlarged, axis=0)[:-3:-1]
    sure = first - second > 1e-5 * np.abs(enlarged).max()
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(result[sure], enlarged.argmax(axis=0)[sure])


def labels_at(logits: np.ndarray, shape: tuple[int, int], grid: str) -> np.ndarray:
    plan = slice_resampling(grid, shape, logits.shape[-1])
    result = enlarged_labels(logits, plan, np.uint8)
    assert (result.shape, result.dtype) == (shape, np.uint8)
    return result


@grids
@shapes
@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_of_interpolating_every_pixel(kind, shape, grid):
    logits = KINDS[kind]()
    assert_labels_of(labels_at(logits, shape, grid), every_pixel(logits, shape, grid))


@grids
@shapes
def test_labels_are_those_of_torch(shape, grid):
    torch = pytest.importorskip("torch")
    logits = smooth(seed=1)
    reduced = grid == "antialias" and min(shape) < SIDE
    if reduced and shape == (40, 1):
        pytest.skip("PyTorch 2.13 gives every row of one antialiased column the first row's value")
    options = {"align_corners": True} if grid == "spline3" else {"antialias": reduced}
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(logits).double()[None], shape, mode="bilinear", **options
    )
    assert_labels_of(labels_at(logits, shape, grid), enlarged[0].numpy())


@grids
def test_labels_at_the_size_of_a_ct_are_those_of_interpolating_every_pixel(grid):
    logits = smooth(9, side=160, seed=2)
    labels = labels_at(logits, (512, 500), grid)
    assert len(np.unique(labels)) == 9
    assert_labels_of(labels, every_pixel(logits, (512, 500), grid))


# Sizes between which every weight is a multiple of 1/8, so that whole numbers never round.
EXACT = {
    "spline3": [(9, n) for n in (3, 5, 9, 17, 33, 65)],
    "antialias": [(8, n) for n in (8, 16, 32)],
}


@pytest.mark.parametrize(
    ("grid", "side", "shape"),
    [
        (grid, pairs[0][0], (height, width))
        for grid, pairs in EXACT.items()
        for height, width in itertools.product([n for _, n in pairs], repeat=2)
    ],
)
@pytest.mark.parametrize("classes", [2, 4])
def test_of_equally_likely_classes_the_first_is_taken(grid, side, shape, classes):
    # Few values for many pixels: most of them have their equal in another class.
    logits = np.random.default_rng(3).integers(-1, 2, (classes, side, side)).astype(np.float32)
    enlarged = every_pixel(logits, shape, grid)
    assert np.array_equal(enlarged * 64, np.round(enlarged * 64)), "not exact: choose other sizes"
    np.testing.assert_array_equal(labels_at(logits, shape, grid), enlarged.argmax(axis=0))


@grids
def test_where_all_classes_are_equal_everything_is_background(grid):
    logits = np.full((4, SIDE, SIDE), -3.25, np.float32)
    for shape in SHAPES:
        assert not labels_at(logits, shape, grid).any()


@grids
@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("offset", [-1.0, 0.0])
def test_neither_tiny_nor_huge_nor_negative_values_change_a_label(grid, scale, offset):
    # Powers of two, which change no sum but its exponent.
    factor = np.float32(2.0 ** np.round(np.log2(scale)))
    logits = smooth(seed=4)
    logits += np.float32(offset) * np.float32(64)
    for shape in ((90, 61), (20, 50), (5, 6)):
        expected = labels_at(logits, shape, grid)
        np.testing.assert_array_equal(labels_at(logits * factor, shape, grid), expected)


@grids
def test_more_than_255_classes_have_labels_of_two_bytes(grid):
    logits = smooth(300, side=8, seed=5)
    logits[299, 4:, 4:] = 1000
    plan = slice_resampling(grid, (40, 30), 8)
    result = enlarged_labels(logits, plan, np.uint16)
    assert result.dtype == np.uint16
    assert result[-1, -1] == 299
    assert_labels_of(result, every_pixel(logits, (40, 30), grid))


@grids
def test_the_logits_are_left_as_they_were(grid):
    logits = smooth(seed=6)
    kept = logits.copy()
    logits.setflags(write=False)
    for shape in SHAPES:
        labels_at(logits, shape, grid)
    np.testing.assert_array_equal(logits, kept)


def test_logits_may_lie_in_any_order_in_memory():
    logits = smooth(seed=7)
    turned = np.asfortranarray(logits)[::1]
    plan: SliceResampling = slice_resampling("spline3", (70, 50), SIDE)
    np.testing.assert_array_equal(
        enlarged_labels(turned, plan, np.uint8), enlarged_labels(logits, plan, np.uint8)
    )


@pytest.mark.parametrize("shape", [(7,), (6, 5), (2, 6, 5)])
@pytest.mark.parametrize(("classes", "kind"), [(1, np.uint8), (9, np.uint8), (300, np.uint16)])
def test_the_largest_is_that_of_argmax(shape, classes, kind):
    logits = np.random.default_rng(8).normal(size=(classes, *shape)).astype(np.float32)
    result = largest(logits, kind)
    assert result.dtype == kind
    np.testing.assert_array_equal(result, logits.argmax(axis=0))


def test_the_largest_of_equals_is_the_first():
    logits = np.random.default_rng(9).integers(-1, 2, (6, 40, 40)).astype(np.float32)
    np.testing.assert_array_equal(largest(logits, np.uint8), logits.argmax(axis=0))
    # Minus zero is zero.
    zeros = np.array([[-0.0], [0.0]], np.float32)
    assert largest(zeros, np.uint8) == largest(-zeros, np.uint8) == 0


def test_the_largest_is_found_among_the_extremes_of_floating_point():
    limits = np.finfo(np.float32)
    logits = np.array(
        [
            [limits.min, -1.0, limits.smallest_subnormal, limits.max],
            [limits.min, limits.min, 0.0, limits.max],
            [-1.0, -2.0, -limits.tiny, 1e38],
        ],
        np.float32,
    )
    np.testing.assert_array_equal(largest(logits, np.uint8), [2, 0, 0, 0])
