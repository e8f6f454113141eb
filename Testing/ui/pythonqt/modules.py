"""The modules ``qt`` and ``ctk``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from pythonqt import dialogs, problems, settings, signals  # noqa: F401  they fill the overrides
from pythonqt.binding import QObject, QtCore
from pythonqt.classes import native_classes, overrides, shown, wrapper
from pythonqt.uiloader import QUiLoader


class StrictModule(ModuleType):
    """A module without what the real one has not."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self.__name__}.{name} is not in both Qt 5.15 and Qt 6, or has no stand-in"
        )


class Namespace:
    """``qt.Qt``: short names only."""

    def __init__(self, native: type, names: frozenset[str]) -> None:
        self._native, self._names = native, names

    def __getattr__(self, name: str) -> object:
        if name not in self._names:
            raise AttributeError(f"Qt has no attribute named '{name}'")
        return shown(getattr(self._native, name))


def _single_shot(milliseconds: int, handler: Callable) -> None:
    QtCore.QTimer.singleShot(
        milliseconds, lambda: signals.deliver(handler, (), "QTimer.singleShot()")
    )


overrides["QTimer"] = {"singleShot": staticmethod(_single_shot)}

qt = StrictModule("qt", "Qt's classes, with PythonQt's rules.")
ctk = StrictModule("ctk", "CTK's widgets that have a stand-in.")


def _fill() -> None:
    from pythonqt import facts

    for name, native in native_classes().items():
        if issubclass(native, QObject):
            setattr(qt, name, wrapper(native))
        else:
            setattr(qt, name, native)
    qt.Qt = Namespace(QtCore.Qt, facts.members("Qt").methods)
    qt.QDesktopServices = dialogs.QDesktopServices
    qt.QUiLoader = QUiLoader
    for name in ("QInputDialog", "QColorDialog", "QFontDialog"):
        delattr(qt, name)


_fill()


def install() -> None:
    """Make ``import qt`` and ``import ctk`` find these modules, and collect all problems."""
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    problems.collect_all()
