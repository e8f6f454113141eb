"""What is chosen in the panel and saved with the scene."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

# Without a range, a connected spin box is given that of all whole numbers, negative ones too.
SliceNumber = Annotated[int, WithinRange(0, 99999)]


class Modality(Enum):
    """A kind of image. Scenes store the members' names, which are those of model cards."""

    CT = 1
    MR = 2
    US = 3
    RGB = 4

    def label(self) -> str:
        return {
            Modality.CT: _("CT"),
            Modality.MR: _("MR"),
            Modality.US: _("Ultrasound"),
            Modality.RGB: _("Dermoscopy or other color photograph"),
        }[self]


class SegmentedPart(Enum):
    """How much of the volume is segmented. Scenes store the members' names."""

    WHOLE_VOLUME = 1
    CURRENT_SLICE = 2
    SLICE_RANGE = 3
    REGION = 4

    def label(self) -> str:
        return {
            SegmentedPart.WHOLE_VOLUME: _("Whole volume"),
            SegmentedPart.CURRENT_SLICE: _("Current slice"),
            SegmentedPart.SLICE_RANGE: _("Slice range"),
            SegmentedPart.REGION: _("Region (ROI)"),
        }[self]


@parameterNodeWrapper
class Parameters:
    """``segmentation``: where to write, None for a new one; ``result``: what was made last.

    ``modalityKnownOf`` is the volume that ``modality`` is about: it was guessed, or chosen, for it.
    ``modelName`` tells a checkpoint from others. ``batchSize``: 0 leaves it to the device.
    ``confidence``: whether to find out how sure the network is, and so which slices are doubtful.
    ``firstSlice`` and ``lastSlice`` count stored slices along the checkpoint's slice axis; what is
    beyond the last of a volume means the last.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    modality: Modality = Modality.CT
    modalityKnownOf: vtkMRMLScalarVolumeNode
    modelName: str = ""
    segmentation: vtkMRMLSegmentationNode
    result: vtkMRMLSegmentationNode
    part: SegmentedPart = SegmentedPart.WHOLE_VOLUME
    firstSlice: SliceNumber = 0
    lastSlice: SliceNumber = 99999
    region: vtkMRMLMarkupsROINode
    allFrames: bool = False
    smoothBorders: bool = True
    largestComponent: bool = False
    confidence: bool = True
    batchSize: Annotated[int, WithinRange(0, 64)] = 0
