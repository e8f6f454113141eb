"""Slicer's Segment Editor module, with what others hand over to it, and effects."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class SegmentEditor(ScriptedLoadableModule):
    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = "Segment Editor"
        parent.categories = ["", "Segmentation"]


class SegmentEditorWidget(ScriptedLoadableModuleWidget):
    def setup(self) -> None:
        super().setup()
        self.parameterSetNode: slicer.vtkMRMLSegmentEditorNode | None = None
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.layout.addWidget(self.editor)
        self.editor.setMRMLScene(slicer.mrmlScene)

    def enter(self) -> None:
        """Select the parameter node of the scene, which is made where there is none."""
        node = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag("SegmentEditor")
            node = slicer.mrmlScene.AddNode(node)
        self.parameterSetNode = node
        self.editor.setMRMLSegmentEditorNode(node)

    def exit(self) -> None:
        if self.parameterSetNode is not None:
            self.editor.setActiveEffectByName("")
