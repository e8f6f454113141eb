"""Messages as lines: one JSON object each, in UTF-8; see docs/worker-protocol.md.

The dataclasses of ``messages`` and ``events`` are the definition: their fields, all of them, are
the object's, beside ``type``, the message's name.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from GDLACore import errors
from GDLACore.errors import GDLAError, WorkerError
from GDLACore.model.card import ModelCard
from GDLACore.remote import RemoteServer
from GDLACore.worker import events, messages
from GDLACore.worker.array_text import decoded_array, encoded_array
from GDLACore.worker.messages import VERSION, Command, Report

COMMANDS: dict[str, type] = {
    "hello": messages.Hello,
    "load": messages.Load,
    "segment": messages.Segment,
    "preview": messages.Preview,
    "cancel": messages.Cancel,
    "unload": messages.Unload,
    "quit": messages.Quit,
}
REPORTS: dict[str, type] = {
    "hello": messages.Greeting,
    "alive": messages.Alive,
    "loaded": messages.ModelReady,
    "started": messages.SegmentStarted,
    "slices": events.SlicesDone,
    "phase": events.Phase,
    "warned": events.Warned,
    "finished": messages.SegmentFinished,
    "previewed": events.Previewed,
    "preview_done": events.PreviewDone,
    "stopped": events.Stopped,
    "failed": events.Failed,
    "refused": messages.Refused,
    "leaving": messages.Leaving,
}
_NAMES = {kind: name for kinds in (COMMANDS, REPORTS) for name, kind in kinds.items()}

_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, GDLAError)
}

# The card of a model with thousands of structures is the longest that anyone says, or the labels of
# a very large photograph.
LONGEST_LINE = 16 << 20
_LONGEST_QUOTE = 50


class ProtocolError(WorkerError):
    """A line is no message of this protocol; ``reason`` goes on after "a message"."""

    def __init__(
        self,
        reason: str,
        hint: str = "Try again; if it happens again, report it with the log.",
    ) -> None:
        super().__init__(
            f"Slicer and its background process do not understand each other: a message {reason}.",
            hint,
        )


class OtherVersion(ProtocolError):
    """The other side speaks another version of this protocol."""

    def __init__(self, version: object) -> None:
        super().__init__(
            f"has version {_quoted(version)} instead of {VERSION}",
            "Two versions of the program are mixed: install it again and restart Slicer.",
        )


def encode(message: Command | Report) -> bytes:
    """Return the line, its end included, that says ``message``."""
    data = {"type": _NAMES[type(message)], **_encoded(message)}
    # ASCII, so that a path that is not valid Unicode goes through too.
    return json.dumps(data, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def decode_command(line: bytes) -> Command:
    """Return what the client says in ``line``; raise ProtocolError if that makes no sense.

    The error quotes nothing that may be a server's token.
    """
    return _decode(line, COMMANDS, "")


def decode_report(line: bytes) -> Report:
    """Return what the worker says in ``line``; raise ProtocolError if that makes no sense."""
    return _decode(line, REPORTS, f": {_quoted(line)}")


def _encoded(value: Any) -> Any:
    if isinstance(value, ModelCard):
        return value.to_dict()
    if isinstance(value, GDLAError):
        kind = next(base for base in type(value).__mro__ if _ERRORS.get(base.__name__) is base)
        return {"kind": kind.__name__, "message": value.message, "hint": value.hint}
    if dataclasses.is_dataclass(value):
        return {
            field.name: _encoded(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, range):
        return [value.start, value.stop, value.step]
    if isinstance(value, tuple):
        return [_encoded(item) for item in value]
    if isinstance(value, np.ndarray):
        return encoded_array(value)
    return value.item() if isinstance(value, np.generic) else value


def _decode(line: bytes, kinds: Mapping[str, type], quoted: str) -> Any:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError(f"is not JSON{quoted}") from None
    name = data.get("type") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise ProtocolError(f"is none that is known{quoted}")
    # Before all else, for another version's message may have other fields.
    if name == "hello" and data.get("version") != VERSION:
        raise OtherVersion(data.get("version"))
    del data["type"]
    try:
        return _decoded(kinds[name], data)
    except (TypeError, ValueError, OverflowError, GDLAError) as error:
        reason = error.message if isinstance(error, GDLAError) else str(error)
        raise ProtocolError(f'of type "{name}" is wrong: {reason.rstrip(".")}') from error


def _decoded(kind: Any, value: Any) -> Any:
    """Return ``value``, out of JSON, as an object of ``kind``, a type or annotation."""
    if get_origin(kind) is UnionType:
        (inner,) = set(get_args(kind)) - {type(None)}
        return None if value is None else _decoded(inner, value)
    if get_origin(kind) is tuple:
        return tuple(_decoded(get_args(kind)[0], item) for item in _of(list, value))
    if kind in _READERS:
        return _READERS[kind](value)
    if dataclasses.is_dataclass(kind):
        return _object(kind, value)
    return _of(kind, value)


def _object(kind: type, value: Any) -> Any:
    fields = _of(dict, value)
    wanted = _types(kind)
    for name in wanted.keys() - fields.keys():
        raise ValueError(f"{name} is missing")
    for name in fields.keys() - wanted.keys():
        raise ValueError(f"{_quoted(name)} is not a known field")
    return kind(**{name: _decoded(wanted[name], item) for name, item in fields.items()})


@lru_cache(maxsize=64)
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{_quoted(value)} is not of type {kind.__name__}")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{_quoted(value)} is not a number")
    return float(value)


def _range(value: Any) -> range:
    start, stop, step = (_of(int, number) for number in _of(list, value))
    return range(start, stop, step)


def _server(value: Any) -> RemoteServer:
    try:
        return _object(RemoteServer, value)
    except (TypeError, ValueError):
        # Without what is wrong: it may be the token.
        raise ValueError("server is wrong") from None


def _error(value: Any) -> GDLAError:
    fields = _of(dict, value)
    kind, message, hint = (_of(str, fields.get(name)) for name in ("kind", "message", "hint"))
    return _ERRORS.get(kind, GDLAError)(message, hint)


_READERS: dict[Any, Callable[[Any], Any]] = {
    ModelCard: ModelCard.from_dict,
    GDLAError: _error,
    RemoteServer: _server,
    range: _range,
    float: _number,
    np.ndarray: lambda value: decoded_array(_of(dict, value)),
}


def _quoted(value: object) -> str:
    """Return ``value`` in printable ASCII and no longer than suits a message.

    Not what is in an object or a list: a server's token may be.
    """
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, (bytes, str)):
        return ascii(value[:_LONGEST_QUOTE]) + ("…" if len(value) > _LONGEST_QUOTE else "")
    text = ascii(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
