"""Which slices are called doubtful."""

from __future__ import annotations

import numpy as np

from GDLACore.review.doubt import slice_doubt


def test_the_slice_with_the_weakest_margins_is_the_most_doubtful() -> None:
    confidence = np.ones((3, 4, 5), np.float16)
    confidence[1] = 0.5
    doubt = slice_doubt(np.ones((3, 4, 5), np.uint8), confidence, 0, (0, 1, 2))
    assert doubt.tolist() == [0.0, 10.0, 0.0]


def test_nothing_asked_for_is_nothing_returned() -> None:
    nothing = slice_doubt(np.zeros((3, 4, 5), np.uint8), np.ones((3, 4, 5), np.float16), 1, ())
    assert nothing.shape == (0,) and nothing.dtype == np.float64
