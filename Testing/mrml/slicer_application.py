"""The part of 3D Slicer's application that ``slicer.util`` and our logic ask for, without Qt.

``start()`` sets ``slicer.app``, ``slicer.modules`` and ``slicer.mrmlScene`` as the application
does, over the real scene and the real module logics of the slicer-core package. What is not here
raises AttributeError: a stand-in that accepts everything proves nothing. Its own behaviour is
little, and Slicer's sources are where it comes from.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import slicer
import slicer.util
from color_files import write_color_files
from slicer_files import FileManager
from subject_hierarchy import SubjectHierarchyUpkeep
from terminology_lists import write_terminology_lists

# In the wheel ``import slicer`` gives these too, and its slicer.util is newer than Slicer 5.12.
_NOT_IN_SLICER = [name for name in vars(slicer.util) if not name.startswith("_")]
_NOT_IN_SLICER_5_12 = ["LazyImport"]

_LOGICS = {
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


class qSlicerScriptedLoadableModule:
    """Of these there are none: no module here is written in Python."""


class Module:
    """``slicer.modules.volumes`` and the like: a name and a real logic."""

    __slots__ = ("_logic", "name", "title")

    def __init__(self, name: str, logic: slicer.vtkMRMLAbstractLogic) -> None:
        self.name = self.title = name
        self._logic = logic

    def logic(self) -> slicer.vtkMRMLAbstractLogic:
        return self._logic


class Modules:
    """``slicer.modules``: one attribute for each module, in lower case."""

    __slots__ = tuple(name.lower() for name in _LOGICS)


class ModuleManager:
    """``slicer.app.moduleManager()``."""

    __slots__ = ("_modules",)

    def __init__(self, modules: dict[str, Module]) -> None:
        self._modules = modules

    def module(self, name: str) -> Module | None:
        return self._modules.get(name)


class Application:
    """``slicer.app``. Rendering may be paused and resumed, in pairs: ``renderPauses`` tells."""

    __slots__ = (
        "__weakref__",
        "_files",
        "_logic",
        "_moduleManager",
        "_parts",
        "_scene",
        "applicationName",
        "applicationVersion",
        "majorVersion",
        "minorVersion",
        "os",
        "renderPauses",
        "revision",
        "slicerHome",
        "slicerUserSettingsFilePath",
        "temporaryPath",
    )

    def __init__(self, home: Path) -> None:
        self.applicationName, self.applicationVersion = "Slicer", "5.12.3"
        self.majorVersion, self.minorVersion, self.revision = 5, 12, "0"
        self.os = "linux"
        self.slicerHome = str(home)
        self.slicerUserSettingsFilePath = str(home / "settings" / "Slicer.ini")
        self.temporaryPath = str(home / "temporary")
        self.renderPauses = 0
        self._scene = slicer.vtkMRMLScene()
        self._logic = _application_logic(self._scene, home)
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(self._scene)
        remote.GetCacheManager().SetRemoteCacheDirectory(self.temporaryPath)
        remote.AddDataIOToScene()
        modules = {name: Module(name, self._module_logic(name)) for name in _LOGICS}
        self._moduleManager = ModuleManager(modules)
        self._files = FileManager(self._scene, modules)
        self._parts = (remote, SubjectHierarchyUpkeep(self._scene))

    def _module_logic(self, name: str) -> slicer.vtkMRMLAbstractLogic:
        logic = getattr(slicer, _LOGICS[name])()
        if isinstance(logic, slicer.vtkSlicerTerminologiesModuleLogic):
            logic.SetModuleShareDirectory(os.path.join(self.slicerHome, "terminologies"))
        if isinstance(logic, slicer.vtkSlicerColorLogic):
            self._logic.SetColorLogic(logic)
        logic.SetMRMLApplicationLogic(self._logic)
        logic.SetMRMLScene(self._scene)
        self._logic.SetModuleLogic(name, logic)
        return logic

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._scene

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._logic

    def coreIOManager(self) -> FileManager:
        return self._files

    def moduleManager(self) -> ModuleManager:
        return self._moduleManager

    def layoutManager(self) -> None:
        """There is none, as in Slicer with --no-main-window."""

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        """There is no event loop: nothing waits to be done."""

    def pauseRender(self) -> None:
        self.renderPauses += 1

    def resumeRender(self) -> None:
        if not self.renderPauses:
            raise RuntimeError("resumeRender() without pauseRender()")
        self.renderPauses -= 1

    def translate(self, context: str, text: str) -> str:
        return text

    def exit(self) -> None:
        """Delete the files in the temporary folder: the scene is of no use afterwards."""
        shutil.rmtree(self.slicerHome, ignore_errors=True)


def _write_python_slicer(home: Path) -> None:
    """Write a program that starts this Python, as Slicer's launcher of its own does."""
    program = home / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def _application_logic(scene: slicer.vtkMRMLScene, home: Path) -> slicer.vtkSlicerApplicationLogic:
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetHomeDirectory(str(home))
    logic.SetShareDirectory("share")
    logic.SetTemporaryPath(str(home / "temporary"))
    logic.SetMRMLScene(scene)
    return logic


def start() -> Application:
    """Return the application of this process, started now if it was not yet."""
    if hasattr(slicer, "app"):
        return slicer.app
    home = Path(tempfile.mkdtemp(prefix="slicer-stand-in-"))
    for folder in ("temporary", "share/ColorFiles", "terminologies"):
        (home / folder).mkdir(parents=True)
    write_color_files(home / "share" / "ColorFiles")
    write_terminology_lists(home / "terminologies")
    _write_python_slicer(home)
    slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
    slicer.app = app = Application(home)
    slicer.mrmlScene = app.mrmlScene()
    slicer.modules = Modules()
    for name in _LOGICS:
        setattr(slicer.modules, name.lower(), app.moduleManager().module(name))
    for name in _NOT_IN_SLICER:
        if getattr(slicer, name, None) is getattr(slicer.util, name):
            delattr(slicer, name)
    for name in _NOT_IN_SLICER_5_12:
        delattr(slicer.util, name)
    atexit.register(app.exit)
    return app
