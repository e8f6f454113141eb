"""How doubtful the slices are that a run wrote: of labels that are there, or nothing is known."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from GDLACore.review.doubt import slice_doubt
from GDLACore.worker import Doubt
from GDLASegmenterLib.SegmentationOutput import SegmentationOutput


def doubtSteps(
    output: SegmentationOutput, confidence: np.ndarray, axis: int, told: Doubt | None
) -> Generator[None, None, dict[int, float]]:
    """Return the doubt of the slices along array axis ``axis`` that ``output`` has written.

    ``told`` is what the worker says of whole slices, None if it was stopped before. What it does
    not say is summed up from ``confidence``, float16 [k, j, i]. Of a slice whose other voxels are
    of an earlier run, nothing is known.
    """
    known = {} if told is None else dict(zip(told.indices, told.values, strict=True))
    doubt = {}
    for index in sorted(output.written):
        inside = output.inside(output.grid.slab(axis, index, index))
        isWhole = bool(np.all(inside))
        if isWhole and index in known:
            doubt[index] = known[index]
        elif isWhole or output.isNew:
            part = confidence[(slice(None),) * axis + (slice(index, index + 1),)]
            certain = np.where(inside, part, np.float16(1))
            doubt[index] = float(slice_doubt(certain, axis, [0])[0])
            yield
    return doubt
