"""A module written in Python, and its panel, as Slicer's C++ classes around them behave."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from pythonqt.binding import QObject, QtWidgets
from pythonqt.declared import Behaviour, behaviour_of, declare
from pythonqt.problems import reported
from slicer_widgets.scene_widgets import SceneWidget


class Module(Behaviour):
    """``slicer.modules.gdlasegmenter``. ``path`` is the module's .py file."""

    def start(self) -> None:
        self.path = Path()
        self._representation: QObject | None = None
        self.representations: list[QObject] = []

    def load(self, path: Path) -> None:
        """Run the file and make its module object; what it raises is the caller's to handle."""
        self.path = path
        self.values["name"] = name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        source = _run(path)
        instance = getattr(source, name)(self.widget)
        setattr(slicer.modules, f"{name}Instance", instance)
        setattr(slicer.modules, name.lower(), self.widget)
        setattr(slicer.moduleNames, name, name)
        if hasattr(instance, "setup"):
            with reported(f"{name}.setup()"):
                instance.setup()

    def read_name(self) -> str:
        return self.values.get("name", "")

    def read_path(self) -> str:
        return str(self.path)

    def logic(self) -> Any:
        return None

    def widgetRepresentation(self) -> QObject:
        if self._representation is None:
            self._representation = self.createNewWidgetRepresentation()
        return self._representation

    def createNewWidgetRepresentation(self) -> QObject:
        panel = Panel()
        self.representations.append(panel)
        behaviour = behaviour_of(panel)
        behaviour.take(self.widget)
        panel.setMRMLScene(slicer.mrmlScene)
        return panel


def _run(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    source = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = source
    specification.loader.exec_module(source)
    return source


class ModuleWidget(SceneWidget):
    """The panel: a box that the Python object fills, and that calls its methods."""

    def start(self) -> None:
        QtWidgets.QVBoxLayout(self.widget)
        self._module: Any = None
        self._python: Any = None
        self.is_entered = False

    def take(self, module: QObject) -> None:
        """Make the Python object of this module's panel, and let it set itself up."""
        self._module = module
        self._instantiate()
        self.widget.objectName = f"{module.name}ModuleWidget"
        self.widget.windowTitle = module.title
        self._call("setup")

    def _instantiate(self) -> None:
        class_name = f"{self._module.name}Widget"
        source = sys.modules[self._module.name]
        with reported(f"{class_name}.__init__()"):
            self._python = getattr(source, class_name)(self.widget)
            setattr(slicer.modules, class_name, self._python)

    def _call(self, method: str) -> None:
        """Call a method that the Python object may have. Slicer prints what it raises."""
        if hasattr(self._python, method):
            with reported(f"{type(self._python).__name__}.{method}()"):
                getattr(self._python, method)()

    def reload(self) -> None:
        self._instantiate()
        self._call("setup")

    def self(self) -> Any:
        return self._python

    def module(self) -> Any:
        return self._module

    def read_moduleName(self) -> str:
        return self._module.name

    def read_isEntered(self) -> bool:
        return self.is_entered

    def enter(self) -> None:
        assert not self.is_entered, "Slicer never enters a panel twice"
        self.is_entered = True
        self._call("enter")

    def exit(self) -> None:
        assert self.is_entered, "Slicer never leaves a panel that it has not entered"
        self.is_entered = False
        self._call("exit")


declare("qSlicerAbstractCoreModule", Behaviour)
declare("qSlicerAbstractModule", Behaviour)
declare("qSlicerLoadableModule", Behaviour)
ScriptedModule = declare("qSlicerScriptedLoadableModule", Module)
declare("qSlicerAbstractModuleWidget", SceneWidget)
Panel = declare("qSlicerScriptedLoadableModuleWidget", ModuleWidget)
