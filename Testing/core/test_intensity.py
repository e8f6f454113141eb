from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from GDLACore.imaging.intensity import count_non_finite, minmax_images, normaliser
from GDLACore.model.card import IntensityProfile

CT = IntensityProfile("ct_window", -125.0, 275.0)
ZSCORE = IntensityProfile("zscore_volume")
MINMAX = IntensityProfile("minmax_volume")
PER_IMAGE = IntensityProfile("minmax_image")
NONE = IntensityProfile("none")
ALL = [CT, ZSCORE, MINMAX, PER_IMAGE, NONE]


def ct(dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 2000, size=(6, 7, 8)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_the_ct_window_is_the_published_one(dtype):
    array = np.abs(ct()).astype(dtype)
    expected = (np.clip(array.astype(np.float64), -125, 275) + 125) / 400
    np.testing.assert_allclose(normaliser(CT, array)(array), expected, atol=1e-6)


def test_padding_below_the_window_becomes_its_floor():
    array = np.full((2, 3, 4), -3024, np.int32)
    assert not normaliser(CT, array)(array).any()


def test_the_z_score_uses_the_whole_volume_for_every_slice():
    array = ct()
    expected = (array - array.mean()) / array.std()
    np.testing.assert_allclose(normaliser(ZSCORE, array)(array[2:4]), expected[2:4], atol=1e-5)


def test_the_z_score_survives_a_large_offset():
    array = (np.random.default_rng(0).normal(size=(4, 9, 9)) + 30000).astype(np.float32)
    result = normaliser(ZSCORE, array)(array)
    assert result.mean() == pytest.approx(0, abs=1e-2)
    assert result.std() == pytest.approx(1, abs=1e-3)


def test_minmax_of_the_volume_spans_zero_to_one():
    array = ct()
    result = normaliser(MINMAX, array)(array)
    assert (result.min(), result.max()) == (0.0, 1.0)


@pytest.mark.parametrize("profile", [PER_IMAGE, NONE])
def test_profiles_without_volume_statistics_leave_values_alone(profile):
    array = ct(np.float32)
    np.testing.assert_array_equal(normaliser(profile, array)(array), array)


@pytest.mark.parametrize("profile", ALL)
def test_the_result_is_new_contiguous_float32_and_the_input_is_untouched(profile):
    array = ct(np.float32)
    array[0, 0, 0] = np.nan
    before = array.copy()
    slices = array.transpose(0, 2, 1)
    result = normaliser(profile, array)(slices)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    assert result.shape == slices.shape
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_not_finite_become_the_floor(profile, dtype):
    array = ct(dtype)
    clean = array.copy()
    places = ([0, 1, 2], [3, 3, 3], [4, 4, 4])
    array[places] = [np.nan, np.inf, -np.inf]
    keep = np.isfinite(array)
    clean[places] = -125 if profile is CT else array[keep].min()
    statistics = array[keep].reshape(1, 1, -1)
    np.testing.assert_allclose(
        normaliser(profile, array)(array), normaliser(profile, statistics)(clean), rtol=1e-5
    )


def test_a_value_beyond_float32_counts_as_not_finite():
    array = ct(np.float64)
    array[0, 0, 0] = 1e300
    assert count_non_finite(array) == 1
    for profile in ALL:
        assert np.isfinite(normaliser(profile, array)(array)).all()


@pytest.mark.parametrize("profile", ALL)
def test_a_volume_without_any_finite_voxel_gives_finite_values(profile):
    array = np.full((2, 3, 4), np.nan)
    assert np.isfinite(normaliser(profile, array)(array)).all()


@pytest.mark.parametrize("profile", [ZSCORE, MINMAX])
@pytest.mark.parametrize("value", [0, 7, -3024])
def test_a_constant_volume_becomes_zero(profile, value):
    array = np.full((2, 3, 4), value, np.int16)
    assert not normaliser(profile, array)(array).any()


def test_a_constant_image_becomes_zero():
    assert not minmax_images(np.full((2, 3, 4, 5), 200, np.uint8)).any()


def test_each_image_is_scaled_over_all_its_channels():
    images = np.random.default_rng(0).integers(0, 256, size=(3, 3, 5, 6)).astype(np.uint8)
    for image, result in zip(images.astype(np.float64), minmax_images(images), strict=True):
        expected = (image - image.min()) / (image.max() - image.min() + 1e-8)
        np.testing.assert_allclose(result, expected, atol=1e-6)


def test_minmax_of_eight_bit_images_does_not_wrap_around():
    image = np.array([200, 10, 60, 250], np.uint8).reshape(1, 1, 2, 2)
    assert minmax_images(image).ravel().tolist() == pytest.approx([190 / 240, 0, 50 / 240, 1])


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_only_real_numbers_can_be_not_finite(dtype):
    array = ct(dtype)
    if array.dtype.kind == "f":
        array[1, 2, :3] = [np.nan, np.inf, -np.inf]
    assert count_non_finite(array) == (3 if array.dtype.kind == "f" else 0)


@pytest.mark.parametrize("profile", [ZSCORE, MINMAX])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_statistics_do_not_depend_on_how_the_volume_is_stored(profile, dtype):
    array = (ct() * 1.37).astype(dtype)
    again = array.transpose(2, 0, 1)[::-1]
    result = normaliser(profile, again)(array)
    np.testing.assert_array_equal(result, normaliser(profile, array)(array))


def test_statistics_are_right_across_block_borders():
    array = np.random.default_rng(0).integers(-1000, 2000, size=(5, 700, 701)).astype(np.int16)
    for volume in (array, array.transpose(2, 1, 0)):
        result = normaliser(ZSCORE, volume)(array)
        np.testing.assert_allclose(result, (array - array.mean()) / array.std(), atol=1e-4)


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.parametrize("dtype", [np.int16, np.float64])
def test_statistics_of_a_large_volume_need_little_memory(profile, dtype):
    array = np.zeros((64, 512, 512), dtype)
    array[3] = 100
    for volume in (array, array.transpose(2, 1, 0)):
        tracemalloc.start()
        normaliser(profile, volume)
        count_non_finite(volume)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < array.size  # bytes: half of the smaller volume
