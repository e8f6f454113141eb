"""The slices of a segmentation that the user edited or ticked, which nothing of ours changes."""

from __future__ import annotations

from collections.abc import Generator

from GDLASegmenterLib.SliceMarks import SliceMarks, onAxis, readMarks, writeMarks
from GDLASegmenterLib.VolumeGrid import VolumeGrid


class ReviewedSlices:
    """Which slices along array axis ``axis`` of ``grid`` are reviewed in ``segmentationNode``.

    It holds nothing itself: what is noted is in the node, saved with the scene, and the same for
    everybody who asks. ``edited`` is what the last ``refresh`` found.
    """

    def __init__(self, segmentationNode, grid: VolumeGrid, axis: int) -> None:
        self._node = segmentationNode
        self._grid = grid
        self._axis = axis

    @property
    def protected(self) -> frozenset[int]:
        """The slices that are edited or ticked."""
        return self._marks.along(self._axis)

    @property
    def edited(self) -> frozenset[int]:
        """The slices in which a model's segments are not what a run last left there."""
        return onAxis(frozenset().union(*self._marks.edited.values()), self._axis)

    @property
    def ticked(self) -> frozenset[int]:
        """The slices that the user said are good as they are."""
        return onAxis(self._marks.ticked, self._axis)

    def tick(self, index: int) -> None:
        """Protect slice ``index`` as it is."""
        marks = self._marks
        ticked = marks.ticked | {(self._axis, index)}
        writeMarks(self._node, self._grid, SliceMarks(ticked, marks.edited))

    def release(self, index: int) -> None:
        """Let runs change slice ``index`` again, as though a run had made what is there now."""
        marks, one = self._marks, {(self._axis, index)}
        edited = {model: found - one for model, found in marks.edited.items()}
        writeMarks(self._node, self._grid, SliceMarks(marks.ticked - one, edited))

    def refresh(self) -> Generator[None, None, None]:
        """Find out which slices are edited; each step takes some milliseconds."""
        yield

    @property
    def _marks(self) -> SliceMarks:
        return readMarks(self._node, self._grid) or SliceMarks()
