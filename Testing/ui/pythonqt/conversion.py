"""Which values a property takes.

PythonQt turns nearly everything into the type of a property: an object into its ``str()``, 2.9 into
2, None into False. All of that hides mistakes, and Slicer's bindings have differed in it, so only
values of the very type are taken here.
"""

from __future__ import annotations

from numbers import Integral

from pythonqt.binding import QtCore

_INTEGERS = ("int", "uint", "qlonglong", "qulonglong", "long", "short")


def is_accepted(kind: str, value: object) -> bool:
    """Tell whether a property of the C++ type ``kind`` takes ``value``."""
    if kind == "bool":
        return isinstance(value, bool)
    if kind in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in ("double", "float"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "QString":
        return isinstance(value, str)
    if kind == "QStringList":
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return not isinstance(value, Integral) or isinstance(value, int)


def check(owner: str, name: str, kind: str, value: object) -> None:
    """Raise AttributeError, as PythonQt does, unless the property takes the value."""
    if not is_accepted(kind, value):
        raise AttributeError(
            f"Property '{name}' of type '{kind}' of {owner} does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )


def writable_value(prop: QtCore.QMetaProperty, value: object) -> object:
    """Return ``value`` as PySide6 wants it for this property."""
    exact = {"QStringList": list, "double": float}.get(prop.typeName())
    return exact(value) if exact else value
