"""The even grid that slices lie on, if they do."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.imaging.slice_stack import grid_step


@pytest.mark.parametrize(
    "distances, step",
    [
        ([0, 2, 4, 6], 2),
        ([0, 2, 4, 10], 2),
        ([0, 1, 4, 8], 1),
        ([3], None),
        ([0, 2, 4.7, 6.1], None),
        ([0, 0.02, 2, 4, 6], None),
        ([0, 1, 5, 9], 1),
        ([0, 1, 6, 13], None),
    ],
)
def test_slices_may_be_missing_but_not_most_of_them(distances, step):
    assert grid_step(np.array(distances, float)) == (None if step is None else pytest.approx(step))
