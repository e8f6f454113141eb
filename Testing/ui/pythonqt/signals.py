"""Signals as PythonQt connects them: by exact signature, to anything that can be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, MethodType

import shiboken6

from pythonqt.binding import QObject, QtCore
from pythonqt.problems import reported


@dataclass
class _Connection:
    signature: str
    handler: Callable
    native: QtCore.QMetaObject.Connection | None  # None: a signal that a stand-in emits


# By the address of the C++ object: a Python object of it comes and goes.
_connections: dict[int, list[_Connection]] = {}


def normalized(signature: str) -> str:
    return bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()


def connect(sender: QObject, signature: str, handler: Callable) -> bool:
    """Call ``handler`` when ``sender`` emits the signal. ValueError if it has no such signal."""
    if not callable(handler):
        raise TypeError(f"connect: {handler!r} cannot be called")
    signature = _known(sender, signature)
    native = None
    if QObject.metaObject(sender).indexOfSignal(signature) >= 0:

        def receive(*arguments: object) -> None:
            deliver(handler, arguments, signature)

        native = QObject.connect(sender, QtCore.SIGNAL(signature), receive)
    _of(sender).append(_Connection(signature, handler, native))
    return True


def disconnect(sender: QObject, signature: str, handler: Callable | None = None) -> bool:
    """Undo one connection, or all of this signal; False if there was none."""
    signature = _known(sender, signature)
    mine = _of(sender)
    found = [c for c in mine if c.signature == signature and handler in (None, c.handler)]
    if handler is not None:
        found = found[:1]
    for connection in found:
        if connection.native is not None:
            QObject.disconnect(connection.native)
        mine.remove(connection)
    return bool(found)


def emit(sender: QObject, signature: str, *arguments: object) -> None:
    """Emit a signal that only our stand-ins of Slicer's and CTK's widgets have."""
    if sender.signalsBlocked():
        return
    for connection in [c for c in _of(sender) if c.signature == signature]:
        deliver(connection.handler, arguments, signature)


def deliver(handler: Callable, arguments: tuple, where: str) -> None:
    """Call a handler as PythonQt does: its exceptions end here."""
    from pythonqt.classes import seen

    with reported(where):
        handler(*(seen(value) for value in _wanted(handler, arguments)))


def _wanted(handler: Callable, arguments: tuple) -> tuple:
    """Drop the arguments that a plain function or method does not take. Others get them all."""
    bound = isinstance(handler, MethodType)
    function = handler.__func__ if bound else handler
    if not isinstance(function, FunctionType) or function.__code__.co_flags & inspect.CO_VARARGS:
        return arguments
    return arguments[: function.__code__.co_argcount - bound]


def _known(sender: QObject, signature: str) -> str:
    signature = normalized(signature)
    name = signature.partition("(")[0]
    known = type(sender)._pq_members.signals.get(name, ())
    if signature not in known:
        others = f", only {', '.join(known)}" if known else ""
        raise ValueError(
            f"{sender.className()} has no signal '{signature}'{others}: PythonQt would print it"
        )
    return signature


def _of(sender: QObject) -> list[_Connection]:
    (address, *_) = shiboken6.getCppPointer(sender)
    if address not in _connections:
        _connections[address] = []
        QObject.connect(
            sender, QtCore.SIGNAL("destroyed()"), lambda: _connections.pop(address, None)
        )
    return _connections[address]


class BoundSignal:
    """``widget.clicked``: to be connected, disconnected or, by calling it, emitted."""

    __slots__ = ("_name", "_sender", "_signatures")

    def __init__(self, sender: QObject, name: str, signatures: tuple[str, ...]) -> None:
        self._sender, self._name = sender, name
        self._signatures = sorted(signatures, key=len, reverse=True)

    def connect(self, handler: Callable) -> bool:
        return connect(self._sender, self._chosen(handler), handler)

    def disconnect(self, handler: Callable | None = None) -> bool:
        if handler is not None:
            return any(disconnect(self._sender, s, handler) for s in self._signatures)
        undone = [disconnect(self._sender, signature) for signature in self._signatures]
        return any(undone)

    def emit(self, *arguments: object) -> None:
        fitting = [s for s in self._signatures if _count(s) == len(arguments)]
        if not fitting:
            raise ValueError(
                f"{self._name} takes no {len(arguments)} arguments: {self._signatures}"
            )
        if QObject.metaObject(self._sender).indexOfSignal(fitting[0]) >= 0:
            kinds = fitting[0].partition("(")[2][:-1]
            QObject.__getattribute__(self._sender, self._name)[kinds or None].emit(*arguments)
        else:
            emit(self._sender, fitting[0], *arguments)

    __call__ = emit

    def _chosen(self, handler: Callable) -> str:
        """Return the signature that is meant, if that does not depend on PythonQt's mood."""
        longest = self._signatures[0]
        kinds = longest.partition("(")[2][:-1].split(",")
        for signature in self._signatures[1:]:
            shorter = [k for k in signature.partition("(")[2][:-1].split(",") if k]
            if shorter != kinds[: len(shorter)] and _wanted(handler, (None,)):
                raise TypeError(
                    f"{self._name} has more than one signature, and which one PythonQt connects is "
                    f"unknown: connect('{longest}', handler), or with {self._signatures[1:]}"
                )
        return longest


def _count(signature: str) -> int:
    kinds = signature.partition("(")[2][:-1]
    return kinds.count(",") + 1 if kinds else 0
