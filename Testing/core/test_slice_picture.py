"""One slice as a picture: how bright its values are shown, and its structures in colour."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.imaging.slice_picture import brightness, draw_slice
from GDLACore.model.card import IntensityProfile

MAGENTA = (255, 0, 255)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["zscore_volume", "ct_window"])
def test_missing_voxels_do_not_spoil_the_brightness_of_others(bad, kind):
    slices = np.tile(np.linspace(-200, 300, 400, dtype=np.float32).reshape(20, 20), (2, 1, 1))
    window = (-160.0, 240.0) if kind == "ct_window" else (None, None)
    good = brightness(slices, IntensityProfile(kind, *window))
    slices[0, 0, 0] = bad
    shown = brightness(slices, IntensityProfile(kind, *window))
    np.testing.assert_allclose(shown[1].astype(int), good[1], atol=1)


def test_a_constant_image_and_one_without_any_finite_voxel_are_shown():
    for value in (7.0, np.nan):
        shown = brightness(np.full((2, 4, 4), value, np.float32), IntensityProfile("none"))
        assert shown.shape == (2, 4, 4)


def test_structures_are_tinted_inside_and_pure_at_the_edge_and_others_untouched():
    pytest.importorskip("PIL")
    pixels = np.full((20, 20), 100, np.uint8)
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 1
    labels[0, 0] = 9  # has no colour
    picture = np.asarray(draw_slice(pixels, labels, {1: MAGENTA}, (200, 200))).astype(int)
    assert tuple(picture[2, 2]) == (100, 100, 100)
    assert tuple(picture[100, 100]) == (154, 65, 154)
    assert (picture == MAGENTA).all(axis=2).sum() > 300
