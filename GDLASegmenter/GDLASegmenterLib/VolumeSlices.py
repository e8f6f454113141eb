"""The slices of a volume that a model looks at, as they lie in the slice views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer.util

from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.VolumeInput import VolumeState, readVolume, volumeState

_ALONG = 0.7  # cosine between the view's normal and the slices'; below, others fit better
_IN_SLICE = 0.5  # slices: further from its middle, another slice is nearer


@dataclass(frozen=True)
class ViewOfSlices:
    """What a slice view shows of the slices.

    ``alignment`` is the cosine between its normal and theirs. ``index`` is the stored slice in its
    middle, None if there is none; ``spread`` is how many slices its edge is away from that one.
    """

    alignment: float
    index: int | None
    spread: float

    @property
    def isAlong(self) -> bool:
        """Whether the view shows slices, rather than lines across them."""
        return self.alignment > _ALONG

    @property
    def isTilted(self) -> bool:
        """Whether the view shows parts of several slices."""
        return self.spread > _IN_SLICE


@dataclass(frozen=True, eq=False)
class VolumeSlices:
    """``count`` slices along array axis ``axis`` of a volume in the state ``state``.

    ``toIndex`` are the four numbers that map a RAS point (mm) with 1 appended to a place along the
    axis, counted in slices from the middle of the first.
    """

    state: VolumeState
    axis: int
    count: int
    toIndex: np.ndarray

    @classmethod
    def of(cls, volumeNode, card: ModelCard) -> VolumeSlices:
        """Return the slices of ``volumeNode`` that ``card``'s model looks at.

        Raises VolumeError if the volume cannot be segmented.
        """
        volume = readVolume(volumeNode)
        return cls.along(volumeNode, slice_view(volume, card.slice_axis, card.view).axes[0])

    @classmethod
    def along(cls, volumeNode, axis: int) -> VolumeSlices:
        """Return the slices of ``volumeNode`` along array axis ``axis`` (0 = k).

        Raises VolumeError if the volume cannot be segmented.
        """
        volume = readVolume(volumeNode)
        toIndex = np.linalg.inv(volume.ijk_to_ras)[2 - axis]
        return cls(volumeState(volumeNode), axis, volume.shape[axis], toIndex)

    def seenIn(self, sliceNode) -> ViewOfSlices:
        """Return what the slice view of ``sliceNode`` shows."""
        sliceToRAS = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
        across, up, normal, place = self.toIndex @ sliceToRAS
        width, height, _ = sliceNode.GetFieldOfView()
        index = round(float(place))
        return ViewOfSlices(
            abs(float(normal)) / float(np.linalg.norm(self.toIndex[:3])),
            index if 0 <= index < self.count else None,
            (abs(float(across)) * width + abs(float(up)) * height) / 2,
        )
