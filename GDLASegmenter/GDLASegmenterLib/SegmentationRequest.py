"""What the user asks for."""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.model.card import ModelCard
from GDLACore.worker import ModelRequest


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """Which volume is to be segmented, by which model, into which segmentation.

    ``outputNode``: None creates a new segmentation. ``slices``: stored slices along the model's
    slice axis, None for all. ``regionNode``: a Markups ROI, outside of which nothing is changed.
    ``focusRAS``: the point (mm) that the user looks at, whose slice comes
    first. The others are as in ``GDLACore.options.SegmentOptions``.
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
