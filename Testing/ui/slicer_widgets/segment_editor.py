"""The Segment Editor's widget: what another module hands over to it, and nothing of its effects."""

from __future__ import annotations

import slicer
from pythonqt.declared import declare

from slicer_widgets.scene_widgets import MRMLWidget, require


class SegmentEditorWidget(MRMLWidget):
    def start(self) -> None:
        self._editor_node: slicer.vtkMRMLSegmentEditorNode | None = None
        self._history = slicer.vtkSegmentationHistory()

    def mrmlSegmentEditorNode(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        return self._editor_node

    def setMRMLSegmentEditorNode(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        require(node, slicer.vtkMRMLSegmentEditorNode, "setMRMLSegmentEditorNode")
        self._editor_node = node

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._editor_node.GetSegmentationNode() if self._editor_node is not None else None

    def setSegmentationNode(self, node: slicer.vtkMRMLNode | None) -> None:
        require(node, slicer.vtkMRMLNode, "setSegmentationNode")
        if node is not self.segmentationNode():
            self._history.SetSegmentation(None if node is None else node.GetSegmentation())
        self._require_node().SetAndObserveSegmentationNode(node)

    def saveStateForUndo(self) -> None:
        self._history.SaveState()

    def undo(self) -> None:
        self._history.RestorePreviousState()

    def sourceVolumeNode(self) -> slicer.vtkMRMLNode | None:
        return self._require_node().GetSourceVolumeNode()

    def setSourceVolumeNode(self, node: slicer.vtkMRMLNode | None) -> None:
        require(node, slicer.vtkMRMLNode, "setSourceVolumeNode")
        self._require_node().SetAndObserveSourceVolumeNode(node)

    def _require_node(self) -> slicer.vtkMRMLSegmentEditorNode:
        """Slicer logs an error and does nothing without it: whoever calls has forgotten enter()."""
        if self._editor_node is None:
            raise RuntimeError("the Segment Editor has no parameter node yet: enter it first")
        return self._editor_node


declare("qMRMLSegmentEditorWidget", SegmentEditorWidget)
