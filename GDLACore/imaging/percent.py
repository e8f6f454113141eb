"""A network's confidence as whole numbers, for volumes that people look at and keep."""

from __future__ import annotations

import numpy as np

NOT_COMPUTED = 0


def percent(confidence: np.ndarray) -> np.ndarray:
    """Return ``confidence``, 0 to 1, as uint8 from 1 to 100, and NaN as ``NOT_COMPUTED``.

    What was computed is at least 1: 0 is what programs take for outside an image, too.
    """
    whole = np.rint(np.asarray(confidence, np.float32) * 100).clip(1, 100)
    return np.nan_to_num(whole, copy=False, nan=NOT_COMPUTED).astype(np.uint8)
