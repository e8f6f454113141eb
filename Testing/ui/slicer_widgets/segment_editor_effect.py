"""Effects of the Segment Editor that are written in Python, and where they are registered.

Their sources are loaded by Slicer's rules, and what they do to segments is done by Slicer's logic.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
from pythonqt.binding import QObject, QtWidgets
from pythonqt.declared import Behaviour, declare
from pythonqt.problems import reported

from slicer_widgets.scene_widgets import require

Logic = slicer.vtkSlicerSegmentEditorLogic
_MODES = (
    Logic.ModificationModeSet,
    Logic.ModificationModeAdd,
    Logic.ModificationModeRemove,
    Logic.ModificationModeRemoveAll,
)
_CONFIRMED_WITHOUT_DIALOG = 1


class AbstractEffect(Behaviour):
    """``editor`` is the widget that the effect belongs to: its behaviour, with the logic."""

    initial = {"perSegment": True, "requireSegments": True, "showEffectCursorInSliceView": True}

    def start(self) -> None:
        self.editor: Any = None
        self.frame = QtWidgets.QFrame()
        self.frame.setVisible(False)
        self._layout = QtWidgets.QFormLayout(self.frame)
        self._is_active = False
        self._node: slicer.vtkMRMLSegmentEditorNode | None = None
        self.hidden_segment_answer = _CONFIRMED_WITHOUT_DIALOG

    def active(self) -> bool:
        return self._is_active

    def activate(self) -> None:
        self.frame.setVisible(True)
        self._is_active = True
        self.widget.updateGUIFromMRML()

    def deactivate(self) -> None:
        self.frame.setVisible(False)
        self._is_active = False

    def parameterSetNode(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        return self._node

    def setParameterSetNode(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        self._node = node

    def scene(self) -> slicer.vtkMRMLScene | None:
        return self._node.GetScene() if self._node is not None else None

    def addOptionsWidget(self, widget: QObject) -> None:
        self._layout.addRow(widget)

    def addLabeledOptionsWidget(self, label: str, widget: QObject) -> None:
        self._layout.addRow(QtWidgets.QLabel(label), widget)

    # Parameters

    def parameter(self, name: str) -> str:
        value = self._node.GetAttribute(f"{self.widget.name}.{name}")
        assert value is not None, f"the effect has no parameter {name}: Slicer complains"
        return value

    def parameterDefined(self, name: str) -> bool:
        return bool(self._node.GetAttribute(f"{self.widget.name}.{name}"))

    def setParameter(self, name: str, value: object) -> None:
        """Set it without a Modified event of the node, as Slicer does."""
        attribute = f"{self.widget.name}.{name}"
        if self._node.GetAttribute(attribute) == str(value):
            return
        is_silent = self._node.GetDisableModifiedEvent()
        self._node.SetDisableModifiedEvent(True)
        self._node.SetAttribute(attribute, str(value))
        self._node.SetDisableModifiedEvent(is_silent)
        self._node.InvokeEvent(self._node.EffectParameterModified)

    def setParameterDefault(self, name: str, value: object) -> None:
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    # Segments

    def confirmCurrentSegmentVisible(self) -> int:
        return self.hidden_segment_answer

    def referenceGeometryImage(self) -> slicer.vtkOrientedImageData | None:
        logic = self.editor.logic
        return logic.GetReferenceGeometryImage() if logic.UpdateReferenceGeometryImage() else None

    def saveStateForUndo(self) -> None:
        self.editor.saveStateForUndo()

    def modifySelectedSegmentByLabelmap(
        self, labelmap: slicer.vtkOrientedImageData, mode: int, extent: list[int]
    ) -> None:
        require(labelmap, slicer.vtkOrientedImageData, "modifySelectedSegmentByLabelmap")
        assert len(extent) == 6, extent
        self.editor.logic.ModifySegmentByLabelmap(
            *(self._node.GetSegmentationNode(), self._node.GetSelectedSegmentID()),
            *(labelmap, _MODES[mode], extent, self.widget.perSegment, False),
        )


class ScriptedEffect(AbstractEffect):
    def start(self) -> None:
        super().start()
        self._source = ""
        self._python: Any = None

    def pythonSource(self) -> str:
        return self._source

    def setPythonSource(self, path: str) -> bool:
        """Make the Python object: its class is looked for in the module named as the folder."""
        file = Path(path)
        folder, name = file.parent.name, file.stem
        class_name = name if name.endswith("Effect") else f"{name}Effect"
        if not hasattr(sys.modules.get(folder), class_name):
            specification = importlib.util.spec_from_file_location(folder, path)
            sys.modules[folder] = module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
        self._source = path
        with reported(f"{class_name}.__init__()"):
            self._python = getattr(sys.modules[folder], class_name)(self.widget)
            setattr(slicer, folder, self._python)
        return True

    def self(self) -> Any:
        return self._python

    def clone(self) -> QObject:
        return self._python.clone()

    def call(self, method: str) -> Any:
        """Call a method that the Python object may have. Slicer prints what it raises."""
        if hasattr(self._python, method):
            with reported(f"{type(self._python).__name__}.{method}()"):
                return getattr(self._python, method)()
        return None

    def activate(self) -> None:
        super().activate()
        self.call("activate")

    def deactivate(self) -> None:
        super().deactivate()
        self.call("deactivate")

    def cleanup(self) -> None:
        self.call("cleanup")

    def helpText(self) -> str:
        return self.call("helpText")

    def updateGUIFromMRML(self) -> None:
        if self._is_active:
            self.call("updateGUIFromMRML")

    def updateMRMLFromGUI(self) -> None:
        self.call("updateMRMLFromGUI")


class EffectFactory(Behaviour):
    """Where all effects are; each Segment Editor has copies of them."""

    def start(self) -> None:
        self._effects: list[QObject] = []

    def registerEffect(self, effect: QObject) -> bool:
        if effect.name in [one.name for one in self._effects]:
            return False
        self._effects.append(effect)
        self.emit("effectRegistered(QString)", effect.name)
        return True

    def registeredEffects(self) -> tuple[QObject, ...]:
        return tuple(self._effects)

    def forget(self) -> None:
        """Be as in a Slicer that has just been started."""
        self._effects.clear()
        self.widget.disconnect("effectRegistered(QString)")


class AbstractScriptedSegmentEditorEffect:
    """What Slicer's package has for effects to be derived from."""

    def __init__(self, scriptedEffect: QObject) -> None:
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self) -> None:
        pass


declare("qSlicerSegmentEditorAbstractEffect", AbstractEffect)
Scripted = declare("qSlicerSegmentEditorScriptedEffect", ScriptedEffect)
Factory = declare("qSlicerSegmentEditorEffectFactory", EffectFactory)

_factory: list[QObject] = []


def the_factory() -> QObject:
    """Return the one of this process."""
    if not _factory:
        _factory.append(Factory())
    return _factory[0]


Factory._pq_own["instance"] = staticmethod(the_factory)


def install() -> None:
    """Provide the modules that effects import."""
    effects = ModuleType("SegmentEditorEffects")
    effects.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect
    native = ModuleType("qSlicerSegmentationsEditorEffectsPythonQt")
    native.qSlicerSegmentEditorScriptedEffect = Scripted
    for module in (effects, native):
        sys.modules[module.__name__] = module
