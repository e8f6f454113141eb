"""Stand-ins for classes of Slicer and CTK: their members from the headers, behaviour from us.

A class has the properties, methods, signals and enumeration values of its header and no others;
``Behaviour`` says what they do. A method that the header has and the behaviour has not raises
NotImplementedError: somebody has to write it, from Slicer's source.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, ClassVar

from pythonqt import facts, signals
from pythonqt.binding import QObject, QtCore, QtWidgets
from pythonqt.classes import generate, wrapper

_TYPES = {"QString": str, "bool": bool, "int": int, "double": float, "QStringList": "QStringList"}
_EMPTY = {"QString": "", "bool": False, "int": 0, "double": 0.0, "QStringList": ()}

declared: dict[str, type] = {}


class Behaviour:
    """What an object of a class does; ``widget`` is the object as Python sees it.

    For each property ``x``: ``read_x()`` and ``write_x(value)`` replace the plain storage that it
    has otherwise, and ``changed_x(value)`` follows a change of it. ``initial`` are values to start
    with. Methods that the header has are those of the class, others are for the stand-ins among
    themselves. ``virtuals`` are C++ methods to override.
    """

    initial: ClassVar[dict[str, Any]] = {}
    virtuals: ClassVar[tuple[str, ...]] = ()

    def __init__(self, widget: QObject) -> None:
        self.widget = widget
        self.values: dict[str, Any] = {}
        for kind in reversed(type(self).__mro__):
            self.values |= vars(kind).get("initial", {})

    def start(self, *arguments: Any) -> None:
        """Set the new object up; ``arguments`` are those of its constructor but for the parent."""
        if arguments:
            raise TypeError(f"{self.widget.className()} takes no {arguments}")

    @classmethod
    def native_arguments(cls, arguments: tuple) -> tuple:
        """Return those arguments of the constructor that Qt's own gets: the parent."""
        return tuple(value for value in arguments if isinstance(value, QObject))

    def emit(self, signature: str, *arguments: Any) -> None:
        signals.emit(self.widget, signature, *arguments)

    def read(self, name: str, kind: str) -> Any:
        reader = getattr(self, f"read_{name}", None)
        return reader() if reader else self.values.get(name, _EMPTY.get(kind))

    def write(self, name: str, value: Any) -> None:
        writer = getattr(self, f"write_{name}", None)
        if writer:
            writer(value)
        elif self.values.get(name) != value:
            self.values[name] = value
            changed = getattr(self, f"changed_{name}", None)
            if changed:
                changed(value)


def declare(name: str, behaviour: type[Behaviour]) -> type:
    """Return the class ``name`` of Slicer or CTK, with this behaviour."""
    header = facts.slicer_classes()[name]
    known = facts.members(name)
    base = declared.get(header["base"]) or _qt_class(header["base"])
    _check(name, behaviour, known)
    own = {name: _forwarded(name) for name in _methods(behaviour) if name in known.methods}
    # Constants, as the enumeration values of Qt's classes are.
    own |= {key: value for keys in header["enums"].values() for key, value in keys.items()}
    body: dict[str, object] = {
        prop: _property(prop, kind) for prop, (kind, _) in header["properties"].items()
    }
    body |= {virtual: _virtual(virtual) for virtual in behaviour.virtuals}
    body["__init__"] = _constructor(behaviour)
    declared[name] = generate(name, base, known, own, body)
    return declared[name]


def behaviour_of(widget: QObject) -> Any:
    return widget._pq_behaviour


def _qt_class(name: str) -> type:
    for module in (QtWidgets, QtCore):
        if hasattr(module, name):
            return wrapper(getattr(module, name))
    raise KeyError(f"{name} has to be declared first")


def _methods(behaviour: type[Behaviour]) -> list[str]:
    """Return the methods by which the class does something: public ones that are not of ours."""
    internal = ("read_", "write_", "changed_")
    return [
        name
        for kind in behaviour.__mro__
        if issubclass(kind, Behaviour) and kind is not Behaviour
        for name, value in vars(kind).items()
        if isinstance(value, FunctionType)
        and not name.startswith(("_", *internal))
        and name not in (*vars(Behaviour), *behaviour.virtuals)
    ]


def _check(name: str, behaviour: type[Behaviour], known: facts.Members) -> None:
    for value in vars(behaviour):
        prefix, _, prop = value.partition("_")
        if prefix in ("read", "write", "changed") and prop:
            assert prop in known.properties, f"{name} has no property {prop} in its header"
    assert behaviour.initial.keys() <= known.properties, f"properties of {name}"


def _forwarded(method: str) -> FunctionType:
    def call(self: QObject, *arguments: object) -> object:
        return getattr(self._pq_behaviour, method)(*arguments)

    return call


def _virtual(method: str) -> FunctionType:
    def call(self: QObject, *arguments: object) -> object:
        return getattr(self._pq_behaviour, method)(*arguments)

    return call


def _property(name: str, kind: str) -> QtCore.Property:
    def read(self: QObject) -> Any:
        value = self._pq_behaviour.read(name, kind)
        return list(value) if kind == "QStringList" else value

    def write(self: QObject, value: Any) -> None:
        self._pq_behaviour.write(name, tuple(value) if kind == "QStringList" else value)

    # A class may make a property writable that its base has not, which Qt for Python does not
    # understand: the members tell what may be written.
    return QtCore.Property(_TYPES.get(kind, "QVariant"), read, write)


def _constructor(behaviour: type[Behaviour]) -> FunctionType:
    def __init__(self: QObject, *arguments: Any) -> None:
        native = next(base for base in type(self).__mro__ if base.__module__.startswith("PySide6"))
        to_qt = behaviour.native_arguments(arguments)
        native.__init__(self, *to_qt)
        self._pq_behaviour = behaviour(self)
        self._pq_behaviour.start(*(a for a in arguments if a is not None and a not in to_qt))

    return __init__
