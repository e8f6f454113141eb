"""Which slices of a volume to try a network on: a few, spread over where there is something."""

from __future__ import annotations

import numpy as np

from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume

_STEP = 4  # every fourth pixel of a row and of a column tells enough
_FULL = 90  # percentile of the slices' contents that counts as a full slice


def spread_slices(volume: Volume, slice_axis: str, count: int) -> list[int]:
    """Return up to ``count`` indices along ``slice_axis``, evenly spread over the filled slices.

    A slice is filled where at least half as many of its pixels are brighter than the volume's mean
    as in a full slice; so a scan's empty ends are left out, and the air around the body with them.
    The same volume always gives the same slices, however its values are scaled.
    """
    view = slice_view(volume, slice_axis, "identity")
    thinned = view.take(volume.array, slice(None))[:, ::_STEP, ::_STEP]
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(thinned)
        brightness = np.where(finite, thinned, 0).sum(dtype=np.float64) / max(finite.sum(), 1)
        bright = finite & (thinned > brightness)
    content = bright.reshape(view.count, -1).mean(axis=1)
    filled = np.flatnonzero(content >= np.percentile(content, _FULL) / 2)
    chosen = np.linspace(0, len(filled) - 1, min(count, len(filled)))
    return [int(index) for index in filled[np.unique(chosen.round().astype(int))]]
