"""The Segment Editor's widget: what modules hand over to it, and effects written in Python."""

from __future__ import annotations

import slicer
from pythonqt.binding import QObject, QtWidgets
from pythonqt.declared import behaviour_of, declare

from slicer_widgets import segment_editor_effect
from slicer_widgets.observers import Observers
from slicer_widgets.scene_widgets import MRMLWidget, require


class SegmentEditorWidget(MRMLWidget):
    def start(self) -> None:
        self._editor_node: slicer.vtkMRMLSegmentEditorNode | None = None
        self._history = slicer.vtkSegmentationHistory()
        self.logic = slicer.vtkSlicerSegmentEditorLogic()  # what effects do to segments
        self.logic.SetVerbose(True)
        self.logic.SetSegmentationHistory(self._history)
        self._effects: dict[str, QObject] = {}
        self._active: QObject | None = None
        self._observers = Observers(self.widget)
        QtWidgets.QVBoxLayout(self.widget)
        factory = segment_editor_effect.the_factory()
        factory.connect("effectRegistered(QString)", self._add_effects)
        self._add_effects()

    def mrmlSegmentEditorNode(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        return self._editor_node

    def setMRMLSegmentEditorNode(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        require(node, slicer.vtkMRMLSegmentEditorNode, "setMRMLSegmentEditorNode")
        self._observers.remove()
        self._editor_node = node
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetSegmentEditorNode(node)
        for effect in self._effects.values():
            self._set_node(effect)

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
        if node is self.sourceVolumeNode():
            return
        self._require_node().SetAndObserveSourceVolumeNode(node)
        for effect in self._effects.values():
            behaviour_of(effect).call("sourceVolumeNodeChanged")

    # Effects

    def availableEffectNames(self) -> tuple[str, ...]:
        return tuple(self._effects)

    def effectByName(self, name: str) -> QObject | None:
        return self._effects.get(name)

    def activeEffect(self) -> QObject | None:
        return self._active

    def setActiveEffectByName(self, name: str) -> None:
        """Activate an effect, after the one that is active was left. "" stands for none."""
        node = self._require_node()
        node.SetActiveEffectName(name)
        effect = self._effects.get(name)
        if effect is self._active:
            return
        if self._active is not None:
            self._active.deactivate()
        self._active = effect
        if effect is not None:
            effect.activate()

    def _add_effects(self) -> None:
        """Copy what is registered, and let it show its options."""
        for registered in segment_editor_effect.the_factory().registeredEffects():
            if registered.name not in self._effects:
                effect = behaviour_of(registered).clone()
                behaviour_of(effect).editor = self
                self._effects[registered.name] = effect
                self.widget.layout().addWidget(behaviour_of(effect).frame)
                self._set_node(effect)
                behaviour_of(effect).call("setupOptionsFrame")

    def _set_node(self, effect: QObject) -> None:
        node = self._editor_node
        effect.setParameterSetNode(node)
        if node is not None:
            behaviour_of(effect).call("setMRMLDefaults")
            changed = node.EffectParameterModified
            self._observers.add(node, changed, effect.updateGUIFromMRML)

    def _require_node(self) -> slicer.vtkMRMLSegmentEditorNode:
        """Slicer logs an error and does nothing without it: whoever calls has forgotten enter()."""
        if self._editor_node is None:
            raise RuntimeError("the Segment Editor has no parameter node yet: enter it first")
        return self._editor_node


declare("qMRMLSegmentEditorWidget", SegmentEditorWidget)
