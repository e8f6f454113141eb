"""What is reviewed slice by slice: a segmentation, over the volume that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from GDLACore.errors import GDLAError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.DoubtProfile import readProfile
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.SliceMarks import readMarks
from GDLASegmenterLib.ViewedSlice import showSlice, viewOf
from GDLASegmenterLib.VolumeGrid import browserOf, volumeGrid
from GDLASegmenterLib.VolumeSlices import VolumeSlices


@dataclass(frozen=True, eq=False)
class ReviewSubject:
    """``slices`` of the volume ``volumeNode`` are reviewed in ``segmentationNode``.

    ``doubt`` is what is known of them, by stored slice. ``marks`` says which are protected; None
    for a frame of a sequence, which changes with the frame that is shown, and for a segmentation
    with marks on the slices of another volume.
    """

    segmentationNode: object
    volumeNode: object
    slices: VolumeSlices
    doubt: Mapping[int, float]
    marks: ReviewedSlices | None

    def viewedSlice(self) -> int | None:
        """Return the stored slice that the user looks at, None if no slice view shows one."""
        sliceNode = viewOf(self.volumeNode, self.slices)
        if sliceNode is None:
            return None
        seen = self.slices.seenIn(sliceNode)
        return seen.index if seen.isAlong else None

    def show(self, index: int) -> None:
        """Take the user to the slice ``index``."""
        showSlice(self.volumeNode, self.slices.axis, index)


def reviewSubject(segmentationNode, volumeNode, card: ModelCard | None) -> ReviewSubject | None:
    """Return what there is to review; None without a volume whose slices could be looked at.

    The slices are those that the segmentation's doubt is known of, or else those that ``card``'s
    model looks at.
    """
    if volumeNode.GetImageData() is None:  # it may be chosen before it has its voxels
        return None
    grid = volumeGrid(volumeNode)
    profile = readProfile(segmentationNode, grid)
    if profile is None and card is None:
        return None
    try:
        if profile is None:
            slices = VolumeSlices.of(volumeNode, card)
        else:
            slices = VolumeSlices.along(volumeNode, profile.axis)
    except GDLAError:
        return None
    known = {} if profile is None else profile.values
    doubt = {index: value for index, value in known.items() if 0 <= index < slices.count}
    marks = ReviewedSlices(segmentationNode, grid, slices.axis)
    canBeMarked = (
        browserOf(segmentationNode) is None and readMarks(segmentationNode, grid) is not None
    )
    return ReviewSubject(
        segmentationNode, volumeNode, slices, doubt, marks if canBeMarked else None
    )
