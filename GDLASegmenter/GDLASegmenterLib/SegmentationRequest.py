"""What the user asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from GDLACore.model.card import ModelCard
from GDLACore.worker import ModelRequest


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """Which volume is to be segmented, by which model, into which segmentation.

    ``outputNode``: None creates a new segmentation. ``slices``: stored slices along the model's
    slice axis, None for all. ``regionNode``: a Markups ROI, outside of which nothing is changed.
    ``focusRAS``: the point (mm) that the user looks at, whose slice comes
    first. ``confidence``: also how sure the network is of every voxel. ``corrections``: labels of
    slices that the user corrected, by stored slice, 2-D in the volume's own order of memory. The
    others are as in ``GDLACore.options.SegmentOptions``.
    """

    volumeNode: object
    model: ModelRequest
    card: ModelCard
    outputNode: object = None
    slices: range | None = None
    regionNode: object = None
    focusRAS: tuple[float, float, float] | None = None
    borders: str = "smooth"
    batchSize: int | None = None
    largestComponent: bool = False
    confidence: bool = False
    corrections: Mapping[int, np.ndarray] | None = None
