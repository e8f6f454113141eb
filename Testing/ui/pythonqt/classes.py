"""Qt's classes with PythonQt's rules: one derived class for each, and how objects come to it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import BuiltinFunctionType

import shiboken6

from pythonqt import facts
from pythonqt.binding import QObject, QtCore, QtGui, QtUiTools, QtWidgets
from pythonqt.instances import Instance

_wrappers: dict[type, type] = {}


class EnumName:
    """``qt.QMessageBox.StandardButton``: PythonQt makes values from it, and has none inside it."""

    def __init__(self, kind: enum.EnumMeta) -> None:
        self._kind = kind

    def __call__(self, value: int) -> int:
        return self._kind(value)

    def __getattr__(self, name: str) -> object:
        raise AttributeError(
            f"{self._kind.__name__}.{name}: PythonQt has no scoped names, write the short one"
        )


class WrapperType(type(QObject)):
    """The type of our classes: what they show of themselves, without any object."""

    def __call__(cls, *arguments: object, **keywords: object) -> QObject:
        if keywords and _is_generated(cls):
            raise TypeError(f"{cls.__name__} takes no keyword arguments in PythonQt: {keywords}")
        return super().__call__(*arguments, **keywords)

    def __getattribute__(cls, name: str) -> object:
        lookup = super().__getattribute__
        if name.startswith(("_", "staticMetaObject", "mro")) or not _is_generated(cls):
            return lookup(name)
        if name in cls._pq_own:
            return cls._pq_own[name]
        known = cls._pq_members
        if name not in known.methods | known.properties | known.signals.keys():
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        return shown(lookup(name))


def _is_generated(cls: type) -> bool:
    return "_pq_members" in type.__getattribute__(cls, "__dict__")


def shown(value: object) -> object:
    """Return what a class or namespace of Qt's shows under some name."""
    if isinstance(value, enum.EnumMeta):
        return EnumName(value)
    if isinstance(value, BuiltinFunctionType):
        return positional(value)
    return value


def positional(function: Callable) -> Callable:
    """Return a function of Qt's without keyword arguments, whose result follows our rules."""

    def call(*arguments: object) -> object:
        return seen(function(*arguments))

    call.__name__ = getattr(function, "__name__", "call")
    return call


def generate(name: str, base: type, members: facts.Members, own: dict, body: dict) -> type:
    """Return the class ``name`` over ``base``, one of PySide6's or of ours.

    ``own`` replaces methods of Qt's or adds some; ``body`` is for Qt's own machinery, properties.
    """
    bases = (base,) if issubclass(base, Instance) else (Instance, base)
    inherited = getattr(base, "_pq_own", {})
    ours = {"_pq_members": members, "_pq_own": {**inherited, **own}, "__module__": "qt"}
    return WrapperType(name, bases, {**body, **ours})


def wrapper(native: type) -> type:
    """Return our class for one of PySide6's, or for the nearest one that both Qts know."""
    if native not in _wrappers:
        lines = [base.__name__ for base in native.__mro__]
        known = next(name for name in lines if name in facts.qt_classes())
        own: dict = {}
        for name in reversed(lines):
            own |= overrides.get(name, {})
        _wrappers[native] = generate(native.__name__, native, facts.members(known), own, {})
    return _wrappers[native]


# What replaces methods of Qt's, by class and name: to be filled before the classes are made.
overrides: dict[str, dict[str, Callable | staticmethod]] = {}


def seen(value: object) -> object:
    """Return a value as Python sees it: objects that Qt made follow our rules as well."""
    if isinstance(value, QObject) and not isinstance(value, Instance):
        return _taken_over(value)
    if isinstance(value, (list, tuple)):
        return tuple(seen(item) for item in value)  # every list of Qt's is a tuple in PythonQt
    return value


_taken: dict[int, QObject] = {}  # by the address of the C++ object, for as long as it lives


def _taken_over(native: QObject) -> QObject:
    """Put a Python object of our class in the place of PySide6's.

    Giving PySide6's object another class leaves it registered under addresses of the first one.
    """
    (address, *_) = shiboken6.getCppPointer(native)
    if address in _taken:
        return _taken[address]
    cls = wrapper(type(native))
    shiboken6.invalidate(native)
    _taken[address] = taken = shiboken6.wrapInstance(address, cls)
    QObject.connect(taken, QtCore.SIGNAL("destroyed()"), lambda: _let_go(address))
    return taken


def _let_go(address: int) -> None:
    shiboken6.invalidate(_taken.pop(address))


def native_classes() -> dict[str, type]:
    """Return the classes of PySide6 that Qt 5.15 has as well, by name."""
    modules = (QtUiTools, QtWidgets, QtGui, QtCore)
    found = {name: getattr(module, name) for module in modules for name in dir(module)}
    return {name: found[name] for name in facts.qt_classes() if name in found}
