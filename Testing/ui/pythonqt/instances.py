"""Objects of Qt's with PythonQt's rules for reading and writing their attributes.

The order in which a name is looked up is PythonQt's: what a Python class derived from it defines;
properties, as values; methods and signals; enumeration values; dynamic properties; PythonQt's own
methods; children by their object name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import shiboken6

from pythonqt import conversion, signals
from pythonqt.binding import QObject, QtCore

_read = QObject.__getattribute__
# Virtual methods that Qt 6 has added: it asks every object whether Python overrides them.
_VIRTUAL_IN_QT_6 = frozenset(
    "initViewItemOption itemDelegateForIndex initStyleOptionForIndex multiData clearItemData "
    "createSourceIndex skipData doItemsLayout devType initPainter redirected sharedPainter "
    "formatIndex paintingRoles".split()
)
_naming_children: list[bool] = []


@contextmanager
def without_names_of_children() -> Iterator[None]:
    """Let PySide6's loader try to make each child an attribute of the form, in vain."""
    _naming_children.append(True)
    try:
        yield
    finally:
        _naming_children.pop()


# PYTHONQT_SUPPORT_NAME_PROPERTY, with which Slicer builds it.
_ALIASES = {"name": "objectName"}
# PythonQt gives the method of this name, which is not the property's getter.
_NO_PROPERTIES = {("QTimer", "singleShot")}


class Instance:
    """What our class of every class of Qt's has before Qt's own."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith(("__", "_pq")):
            return _read(self, name)
        cls = type(self)
        if _is_defined_in_python(cls, name):
            return _read(self, name)
        values = _read(self, "__dict__")
        if name in values and not _is_cpp(cls):
            return values[name]
        prop = _property(self, name)
        if prop is not None:
            return _seen(prop.read(self))
        own = _own_of(self, name)
        if own is not None:
            return own
        known = cls._pq_members
        if name in known.signals:
            return signals.BoundSignal(self, name, known.signals[name])
        if name in _ALWAYS:
            return _ALWAYS[name].__get__(self)
        if name in known.methods or name in _VIRTUAL_IN_QT_6:
            return _method(self, name)
        if name.endswith("_") and name[:-1] in known.methods:
            return getattr(self, name[:-1])
        if _is_dynamic(self, name):
            return QObject.property(self, name)
        for child in QObject.children(self):
            if QObject.objectName(child) == name:
                return _seen(child)
        raise AttributeError(f"{_class_name(self)} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_pq"):
            _read(self, "__dict__")[name] = value
            return
        if _naming_children and isinstance(value, QObject):
            return
        prop = _property(self, name)
        if prop is not None:
            _write(self, name, prop, value)
        elif name in type(self)._pq_members.signals or name in type(self)._pq_members.methods:
            raise AttributeError(f"'{name}' can not be overwritten on {_class_name(self)} object")
        elif _is_dynamic(self, name):
            QObject.setProperty(self, name, value)
        elif not _is_cpp(type(self)):
            _read(self, "__dict__")[name] = value
        else:
            raise AttributeError(
                f"'{name}' does not exist on {_class_name(self)} and creating new attributes on "
                "C++ objects is not allowed"
            )


def _is_defined_in_python(cls: type, name: str) -> bool:
    """Tell whether a module's class has the name, or one of ours overrides a C++ method by it."""
    for base in cls.__mro__:
        if base is Instance:
            break
        if "_pq_members" not in vars(base):
            if name in vars(base):
                return True
        elif isinstance(vars(base).get(name), FunctionType):
            return True
    return False


def _is_cpp(cls: type) -> bool:
    """Tell whether the object is Qt's or Slicer's own, and not of a class a module derived."""
    return "_pq_members" in vars(cls)


def _class_name(self: Instance) -> str:
    return next(base.__name__ for base in type(self).__mro__ if "_pq_members" in vars(base))


def _property(self: Instance, name: str) -> QtCore.QMetaProperty | None:
    known = type(self)._pq_members.properties
    if name not in known:
        name = _ALIASES.get(name, name)
    if name not in known or (_class_name(self), name) in _NO_PROPERTIES:
        return None
    meta = QObject.metaObject(self)
    index = meta.indexOfProperty(name)
    return meta.property(index) if index >= 0 else None


def _is_dynamic(self: Instance, name: str) -> bool:
    return name.encode() in [bytes(known) for known in QObject.dynamicPropertyNames(self)]


def _write(self: Instance, name: str, prop: QtCore.QMetaProperty, value: object) -> None:
    if not prop.isWritable() or name in type(self)._pq_members.read_only:
        raise AttributeError(f"Property '{name}' of {_class_name(self)} object is not writable")
    conversion.check(_class_name(self), name, prop.typeName(), value)
    if not prop.write(self, conversion.writable_value(prop, value)):
        raise AttributeError(
            f"Property '{name}' of type '{prop.typeName()}' of {_class_name(self)} does not accept "
            f"{value!r}"
        )


def _own_of(self: Instance, name: str) -> Any:
    """Return what a class of ours puts in place of Qt's, bound to the object."""
    own = type(self)._pq_own.get(name)
    return own.__get__(self) if hasattr(own, "__get__") else own


def _method(self: Instance, name: str) -> Any:
    from pythonqt.classes import positional, shown

    native = next(base for base in type(self).__mro__ if base.__module__.startswith("PySide6"))
    try:
        found = native.__getattribute__(self, name)
    except AttributeError:
        raise NotImplementedError(
            f"{_class_name(self)}.{name} exists in Slicer, and the stand-in has no behaviour for it"
        ) from None
    is_function = callable(found) and not isinstance(found, type)
    return positional(found) if is_function else shown(found)


def _seen(value: object) -> Any:
    from pythonqt.classes import seen

    return seen(value)


# What PythonQt itself gives to every object


def _connect(self: Instance, signal: str, receiver: Any, slot: str | None = None) -> bool:
    if slot is None:
        return signals.connect(self, signal, receiver)
    name = signals.normalized(slot).partition("(")[0]
    if name not in type(receiver)._pq_members.methods:
        raise ValueError(f"{receiver.className()} has no slot '{slot}'")
    return signals.connect(self, signal, _SlotCall(receiver, name, slot))


class _SlotCall:
    """A C++ slot: it gets as many arguments as its signature has."""

    def __init__(self, receiver: Instance, name: str, slot: str) -> None:
        self._receiver, self._name = receiver, name
        kinds = slot.partition("(")[2].rstrip(")")
        self._count = kinds.count(",") + 1 if kinds.strip() else 0

    def __call__(self, *arguments: object) -> None:
        getattr(self._receiver, self._name)(*arguments[: self._count])


def _disconnect(self: Instance, signal: str, handler: Callable | None = None) -> bool:
    return signals.disconnect(self, signal, handler)


def _inherits(self: Instance, name: str) -> bool:
    return any(base.__name__ == name for base in type(self).__mro__)


def _delete(self: Instance) -> None:
    shiboken6.delete(self)


def _find_children(self: Instance, kind: type | str, name: str | None = None) -> tuple:
    wanted = kind if isinstance(kind, str) else kind.__name__
    found = [_seen(child) for child in QObject.children(self)]
    return tuple(
        match
        for child in found
        for match in (
            *([child] if _inherits(child, wanted) and name in (None, child.objectName) else []),
            *_find_children(child, wanted, name),
        )
    )


def _find_child(self: Instance, kind: type | str, name: str | None = None) -> Instance | None:
    return next(iter(_find_children(self, kind, name)), None)


_ALWAYS = {
    "className": _class_name,
    "connect": _connect,
    "delete": _delete,
    "disconnect": _disconnect,
    "findChild": _find_child,
    "findChildren": _find_children,
    "inherits": _inherits,
}
