"""What a user may choose about a segmentation, light enough to be read without an engine."""

from __future__ import annotations

from dataclasses import dataclass

BORDERS = ("smooth", "published")

UNSAID = 65535  # in corrected slices: the label of a pixel of which nobody knows what it should be


@dataclass(frozen=True)
class SegmentOptions:
    """What to segment and how.

    ``slices``: the range of stored slices, None for all. ``focus_slice``: the slice the user looks
    at; it and its neighbours come first. ``borders``: see ``Engine.predict``. ``batch_size``: None
    leaves it to the engine. ``largest_component``: keep only the largest connected part (in 3D) of
    every structure. ``confidence``: tell, too, how sure the network is of every label; see
    ``Engine.predict_with_confidence``.
    """

    slices: range | None = None
    focus_slice: int | None = None
    borders: str = "smooth"
    batch_size: int | None = None
    largest_component: bool = False
    confidence: bool = False

    def __post_init__(self) -> None:
        if self.borders not in BORDERS:
            raise ValueError(f"borders must be one of {', '.join(BORDERS)}, not {self.borders!r}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {self.batch_size}")
