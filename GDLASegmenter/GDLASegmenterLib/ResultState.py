"""What the last result was made of: the volume as it was then, which may hold other voxels now."""

from __future__ import annotations

from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.VolumeGrid import isFor
from GDLASegmenterLib.VolumeInput import VolumeState, volumeState


def noteResult(parameters: Parameters, segmentationNode, state: VolumeState) -> None:
    """Make ``segmentationNode`` the last result, made of a volume that was in ``state``."""
    if parameters.result is not segmentationNode:
        parameters.result = segmentationNode
    # An attribute of Python's lives as long as the node, and is not saved with it: a state is
    # another one in every session.
    segmentationNode.gdlaVolumeState = state


def isResultOf(segmentationNode, volumeNode) -> bool:
    """Whether the segmentation was made of ``volumeNode`` as it is now, and not as it was before.

    Raises VolumeError if the volume is in no state to be segmented.
    """
    state = getattr(segmentationNode, "gdlaVolumeState", None)
    return isFor(segmentationNode, volumeNode) and state == volumeState(volumeNode)
