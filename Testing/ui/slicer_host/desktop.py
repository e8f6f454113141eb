"""Slicer's desktop for tests: modules are loaded and shown as Slicer does it, and pictures taken.

::

    desktop = start(settings_folder)
    module = desktop.load(path / "GDLASegmenter.py")
    panel = desktop.show(module)            # setup(), enter(); panel is the Python object
    desktop.click(panel.ui.applyButton)
    desktop.wait_until(lambda: not panel.busy)
    desktop.picture(panel.parent, "panel.png")
    desktop.quit()                          # exit(), cleanup(), aboutToQuit
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pythonqt
import slicer
from pythonqt import dialogs, settings
from pythonqt.binding import QObject, QtCore, QtGui, QtWidgets
from pythonqt.declared import behaviour_of

_MODULES = Path(__file__).parent / "modules"
_FONT = ("DejaVu Sans", 9)


class Desktop:
    """``application`` is slicer.app, ``window`` its main window."""

    def __init__(self, application: QObject) -> None:
        from slicer_host import main_window

        self.application = application
        self.window = main_window.Window()
        self.problems = pythonqt.problems  # what nobody could catch: exceptions in handlers
        self.shown = dialogs.shown  # the dialogs that came
        self.opened = dialogs.opened  # the addresses given to the web browser

    def answer(self, *answers: dialogs.Answer) -> None:
        """Say what the user does with the dialogs to come, in order: see ``pythonqt.dialogs``."""
        dialogs.answers.extend(answers)

    def translate(self, translator: Callable[[str, str], str] | None) -> None:
        """Let Slicer's translations come from a function of context and text."""
        behaviour_of(self.application).translator = translator

    @property
    def unused_answers(self) -> list[dialogs.Answer]:
        return list(dialogs.answers)

    def load(self, path: Path) -> QObject:
        """Return the module that Slicer makes of this file."""
        from slicer_host import scripted_module

        module = scripted_module.ScriptedModule()
        behaviour_of(module).load(Path(path).resolve())
        behaviour_of(self.application.moduleManager()).add(module.name, module)
        return module

    def show(self, module: QObject | str) -> Any:
        """Show the module's panel in the window, and return the Python object behind it."""
        name = module if isinstance(module, str) else module.name
        self.window.moduleSelector().selectModule(name)
        return self.application.moduleManager().module(name).widgetRepresentation().self()

    def second_panel(self, module: QObject) -> Any:
        """Return the Python object of one more panel of a module, as another module may make."""
        return module.createNewWidgetRepresentation().self()

    def reload(self, module: QObject) -> Any:
        """Do what the Reload button for developers does; return the new Python object."""
        slicer.util.reloadScriptedModule(module.name)
        self.process_events()  # which shows the new widgets
        return module.widgetRepresentation().self()

    def close_scene(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.process_events()

    def unload(self) -> None:
        """Leave the panel shown, and unload all modules in reverse order, as on exit."""
        self.window.moduleSelector().selectModule("")
        manager = behaviour_of(self.application.moduleManager())
        for name in reversed(list(manager.loaded)):
            panels = behaviour_of(manager.loaded[name]).representations
            manager.unload(name)
            for panel in panels:
                panel.delete()
            for attribute in (f"{name}Instance", f"{name}Widget", name.lower()):
                vars(slicer.modules).pop(attribute, None)
        # Of a panel whose cleanup() failed, Slicer would go on to call it.
        self.application.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)")

    def quit(self) -> None:
        """Close Slicer. Its own part comes first: modules are unloaded, the scene still there."""
        self.window.setVisible(False)
        self.unload()
        self.application.aboutToQuit.emit()

    # What a user does, and what a test waits for

    def click(self, button: QObject) -> None:
        """Press a button with the mouse. AssertionError if a user could not."""
        assert button.isVisible(), f"{button.objectName} is not to be seen"
        assert button.isEnabled(), f"{button.objectName} is grey"
        button.click()
        self.process_events()

    def process_events(self) -> None:
        """Do what waits to be done, deletions too, which need an event loop to return to."""
        self.application.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Let events come until the condition holds. AssertionError after some seconds."""
        deadline = QtCore.QDeadlineTimer(int(seconds * 1000))
        heartbeat = QtCore.QTimer()  # so that waiting for events ends even if there are none
        heartbeat.start(5)
        while not condition():
            assert not deadline.hasExpired(), f"not within {seconds} s"
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.WaitForMoreEvents, 20)
        self.process_events()

    def picture(self, widget: QObject, path: Path | str, width: int = 460) -> Path:
        """Save what a panel looks like, in full height, in a window of this width."""
        window = widget.window()
        for _ in range(2):  # how high it is depends on how wide it is
            around = window.height - widget.height
            window.resize(width, max(widget.sizeHint.height(), 100) + around + 40)
            window.show()
            self.process_events()
        QtWidgets.QWidget.grab(widget).save(str(path))
        return Path(path)


class Modules:
    """``slicer.modules``, to which a loaded module adds itself."""

    def __init__(self, others: object) -> None:
        for name in type(others).__slots__:
            setattr(self, name, getattr(others, name))


_desktop: list[Desktop] = []


def start(folder: Path) -> Desktop:
    """Return the desktop of this process, with its settings in ``folder``."""
    if not _desktop:
        pythonqt.install()
        from slicer_host import application

        slicer.app = application.make()
        _look()
        slicer.modules = Modules(slicer.modules)
        slicer.moduleNames = ModuleType("slicer.moduleNames")
        import slicer_widgets

        slicer_widgets.install()
        import slicer_python

        slicer_python.install()
        from slicer_host import scripted_module

        slicer.qSlicerScriptedLoadableModule = scripted_module.ScriptedModule
        slicer.qSlicerScriptedLoadableModuleWidget = scripted_module.Panel
        _desktop.append(Desktop(slicer.app))
    settings.keep_in(str(folder))
    behaviour_of(slicer.app).translator = None
    dialogs.forget()
    pythonqt.problems.clear()
    desktop = _desktop[0]
    if desktop.application.moduleManager().module("SegmentEditor") is None:
        desktop.load(_MODULES / "SegmentEditor.py")
    return desktop


def _look() -> None:
    """Look the same on every computer."""
    QtWidgets.QApplication.setStyle("Fusion")
    QtWidgets.QApplication.setPalette(QtWidgets.QApplication.style().standardPalette())
    QtWidgets.QApplication.setFont(QtGui.QFont(*_FONT))
    QtWidgets.QApplication.setQuitOnLastWindowClosed(False)
