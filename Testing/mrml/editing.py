"""What a user does to segments in Segment Editor: strokes that can be undone."""

from __future__ import annotations

import numpy as np
import slicer
from nodes import paint
from segmenting import voxels

from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


class Editor:
    """Segment Editor on one segmentation of ``volume``, with the history behind its Undo button."""

    def __init__(
        self, scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLVolumeNode, shape: tuple[int, ...]
    ) -> None:
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self.logic.SetSourceVolumeNode(volume)
        self._volume, self._shape = volume, shape

    def edit(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        self.logic.SetSegmentationNode(node)

    def save_state(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Do what a run asks for before it changes ``node``; other nodes have no history."""
        if node is self.logic.GetSegmentationNode():
            self.logic.SaveStateForUndo()

    def set(self, node: slicer.vtkMRMLSegmentationNode, name: str, mask: np.ndarray) -> None:
        """Make ``mask`` [k, j, i] the segment called ``name``, as one stroke."""
        self.save_state(node)
        paint(node, self._volume, node.GetSegmentation().GetSegmentIdBySegmentName(name), mask)

    def dot(self, node: slicer.vtkMRMLSegmentationNode, name: str, voxel: tuple[int, ...]) -> None:
        """Turn ``voxel`` of the segment called ``name`` into its contrary."""
        mask = voxels(node, name, self._shape)
        mask[voxel] = ~mask[voxel]
        self.set(node, name, mask)

    def erase(self, node: slicer.vtkMRMLSegmentationNode, name: str, index: int) -> None:
        """Erase slice ``index`` (k) of the segment called ``name``."""
        mask = voxels(node, name, self._shape)
        mask[index] = False
        self.set(node, name, mask)


def reviewed(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLVolumeNode, axis: int = 0
) -> ReviewedSlices:
    """Return what is reviewed in ``node``, looked for anew."""
    found = ReviewedSlices(node, volumeGrid(volume), axis)
    for _ in found.refresh():
        pass
    return found
