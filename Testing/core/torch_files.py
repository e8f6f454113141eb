"""PyTorch files made without PyTorch, honest ones and ones that lie.

A value is written as torch.save writes it, with arrays in the place of tensors. What no array can
be is said with ``Call``, ``Global`` and ``Reference``; Python itself pickles any other object.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_STORAGES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "complex128": "ComplexDouble",
    "complex64": "ComplexFloat",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}

_LEGACY_START = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})


@dataclass
class Global:
    """A dotted name that is looked up when the file is read."""

    name: str


@dataclass
class Call:
    """The result of calling ``name``."""

    name: str
    arguments: tuple = ()


@dataclass
class Reference:
    """Something outside the pickle."""

    identifier: Any


def tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, name: str = "_rebuild_tensor_v2"
) -> Call:
    """Return a view of ``storage``, a Reference or whatever a file may put there."""
    arguments = (storage, offset, shape, strides, False, Call("collections.OrderedDict"))
    return Call(f"torch._utils.{name}", arguments)


def storage(key: Any, count: Any, kind: str = "torch.FloatStorage") -> Reference:
    return Reference(("storage", Global(kind), key, "cpu", count))


def zip_file(
    content: Any,
    *,
    order: str = "little",
    storages: dict[str, bytes] | None = None,
) -> bytes:
    """Return a file in the format since PyTorch 1.6; ``storages`` are beside those of arrays."""
    writer = _Writer(order)
    entries = {"data.pkl": writer.pickle(content), "byteorder": order.encode(), "version": b"3\n"}
    stored = (storages or {}) | writer.storages
    entries |= {f"data/{key}": data for key, data in stored.items()}
    return archive({f"model/{name}": data for name, data in entries.items()})


def archive(entries: dict[str, bytes]) -> bytes:
    """Return an uncompressed zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return buffer.getvalue()


def rewritten(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Return the archive ``data`` with ``change`` done to every entry, and fitting checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    return archive({name: change(name, entry) for name, entry in entries.items()})


def legacy_file(content: Any, *, start: tuple = _LEGACY_START) -> bytes:
    """Return a file in the format before PyTorch 1.6."""
    writer = _Writer("little")
    pickles = [writer.pickle(value) for value in (*start, content)]
    pickles.append(writer.pickle(list(writer.storages)))
    counted = (
        struct.pack("<q", writer.counts[key]) + data for key, data in writer.storages.items()
    )
    return b"".join([*pickles, *counted])


class _Writer:
    """Writes pickles, and keeps the storages of the arrays in them by key."""

    def __init__(self, order: str) -> None:
        self.storages: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}
        self._order = order
        self._keys: dict[int, str] = {}

    def pickle(self, value: Any) -> bytes:
        return b"\x80\x02" + self._emit(value) + b"."

    def _emit(self, value: Any) -> bytes:
        # An array of another kind, such as texts, is no tensor and goes Python's way.
        if isinstance(value, np.ndarray) and value.dtype.name in _STORAGES:
            return self._emit(self._as_tensor(value))
        if isinstance(value, Global):
            module, _, name = value.name.rpartition(".")
            return b"c%s\n%s\n" % (module.encode(), name.encode())
        if isinstance(value, Call):
            return self._emit(Global(value.name)) + self._emit(value.arguments) + b"R"
        if isinstance(value, Reference):
            return self._emit(value.identifier) + b"Q"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self._emit, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(self._emit, value)) + b"e"
        if isinstance(value, dict):
            ordered = isinstance(value, OrderedDict)
            start = self._emit(Call("collections.OrderedDict")) if ordered else b"}"
            pairs = (self._emit(key) + self._emit(item) for key, item in value.items())
            return start + b"(" + b"".join(pairs) + b"u"
        return pickle.dumps(value, 2)[2:-1]  # less its start and its end

    def _as_tensor(self, array: np.ndarray) -> Call:
        base = array if array.base is None else array.base
        key = self._keys.setdefault(id(base), str(len(self._keys)))
        self.storages[key] = (base.byteswap() if self._order == "big" else base).tobytes()
        self.counts[key] = base.size
        offset = (array.ctypes.data - base.ctypes.data) // array.itemsize
        strides = tuple(step // array.itemsize for step in array.strides)
        kind = f"torch.{_STORAGES[array.dtype.name]}Storage"
        return tensor(storage(key, base.size, kind), offset, array.shape, strides)
