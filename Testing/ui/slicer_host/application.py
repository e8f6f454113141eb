"""``slicer.app`` with a user interface: Qt's application, and Slicer's own part of it.

What has nothing to do with Qt is asked of the application without one, in ``Testing/mrml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer_application
from pythonqt import qt
from pythonqt.binding import QObject, QtCore
from pythonqt.declared import Behaviour, declare
from pythonqt.dialogs import opened

# Set before the application is made: one argument is all that Qt lets through.
_headless: list[slicer_application.Application] = []


class CoreApplication(Behaviour):
    def start(self) -> None:
        (self._headless,) = _headless
        self._modules: Any = None  # made with the first question, since it is a QObject
        self.is_testing = False
        self.restarts = 0
        self.translator: Callable[[str, str], str] | None = None

    @classmethod
    def native_arguments(cls, arguments: tuple) -> tuple:
        return (["Slicer"],)

    def read(self, name: str, kind: str) -> Any:
        value = getattr(self._headless, name, None)
        if value is None:
            raise NotImplementedError(f"slicer.app.{name} exists in Slicer, not in the stand-in")
        return value

    def translate(self, context: str, text: str) -> str:
        return self.translator(context, text) if self.translator else text

    def testingEnabled(self) -> bool:
        return self.is_testing

    def mrmlScene(self) -> Any:
        return self._headless.mrmlScene()

    def applicationLogic(self) -> Any:
        return self._headless.applicationLogic()

    def moduleLogic(self, name: str) -> Any:
        return self.moduleManager().module(name).logic()

    def coreIOManager(self) -> Any:
        return self._headless.coreIOManager()

    def moduleManager(self) -> QObject:
        if self._modules is None:
            self._modules = ModuleManager(self.widget)
        return self._modules

    def settings(self) -> QObject:
        return qt.QSettings()

    def userSettings(self) -> QObject:
        return qt.QSettings()

    def revisionUserSettings(self) -> QObject:
        return qt.QSettings()

    def startupEnvironment(self) -> Any:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def pauseRender(self) -> None:
        self._headless.pauseRender()

    def resumeRender(self) -> None:
        self._headless.resumeRender()

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    def openUrl(self, url: str) -> None:
        opened.append(url)

    def restart(self) -> None:
        self.restarts += 1


class Application(CoreApplication):
    def ioManager(self) -> Any:
        return self._headless.coreIOManager()

    def layoutManager(self) -> Any:
        return self._headless.layoutManager()


class Modules(Behaviour):
    """Slicer's modules by name: those of C++ have a logic, ours everything."""

    def start(self) -> None:
        self.loaded: dict[str, QObject] = {}

    def module(self, name: str) -> Any:
        return self.loaded.get(name) or _headless[0].moduleManager().module(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self.loaded)

    def add(self, name: str, module: QObject) -> None:
        self.loaded[name] = module
        self.emit("moduleLoaded(QString)", name)

    def unload(self, name: str) -> None:
        self.emit("moduleAboutToBeUnloaded(QString)", name)
        del self.loaded[name]


def make() -> QObject:
    """Return the application of this process, which replaces the one without a user interface."""
    _headless.append(slicer_application.start())
    application = qSlicerApplication()
    QtCore.QCoreApplication.setOrganizationName("NA-MIC")
    QtCore.QCoreApplication.setApplicationName(_headless[0].applicationName)
    QtCore.QCoreApplication.setApplicationVersion(_headless[0].applicationVersion)
    return application


def leave() -> None:
    """Remove the files of the application without a user interface."""
    _headless[0].exit()


declare("qSlicerCoreApplication", CoreApplication)
qSlicerApplication = declare("qSlicerApplication", Application)
ModuleManager = declare("qSlicerModuleManager", Modules)
