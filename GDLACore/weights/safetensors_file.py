"""Weights out of a ``.safetensors`` file: a JSON header, then the numbers.

The header says of every tensor its kind of number, its shape and which of the bytes behind the
header are its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_header
from GDLACore.model.file_access import AGAIN, opened, printable
from GDLACore.weights.numbers import NUMBER_TYPES, NumberType, is_shape, is_size

_METADATA = "__metadata__"

# The format's names; it knows no other complex numbers.
_NUMBER_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class _Entry:
    """One tensor of the header; ``start`` and ``end`` count bytes from the end of the header."""

    name: str
    numbers: NumberType
    shape: tuple[int, ...]
    start: int
    end: int


def read_safetensors(path: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a ``.safetensors`` file by name; bfloat16 becomes float32.

    Raises ModelFileError if the file cannot be read, is not such a file, or is cut off or damaged:
    its tensors must lie one behind the other from the end of the header to the end of the file,
    and must be those whose ``weights_sha256`` is ``sha256``, where that is known.
    """
    digest, tensors = hashlib.sha256(), {}
    for entry, stored in _stored(path):
        if sha256 is not None:
            digest.update(entry.name.encode())
            digest.update(stored)
        numbers = entry.numbers.decode(stored.view(entry.numbers.stored))
        tensors[entry.name] = numbers.reshape(entry.shape)
    if sha256 not in (None, digest.hexdigest()):
        raise _damaged(path, "its weights are not those its card was written for")
    return tensors


def weights_sha256(weights: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256 of names (UTF-8) and stored bytes of ``weights``, sorted by name."""
    digest = hashlib.sha256()
    for name, value in weights:
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _stored(path: Path) -> Iterator[tuple[_Entry, np.ndarray]]:
    """Yield the tensors of a file sorted by name, each with its bytes, uint8 [n]."""
    header, offset = read_header(path)
    with opened(path) as file:
        entries = _entries(header, path)
        _check_layout(entries, path.stat().st_size - offset, path)
        for entry in sorted(entries, key=lambda entry: entry.name):
            file.seek(offset + entry.start)
            yield entry, _bytes(file, entry.end - entry.start, path)


def _bytes(file: IO[bytes], length: int, path: Path) -> np.ndarray:
    data = np.empty(length, np.uint8)
    if file.readinto(memoryview(data)) < length:
        raise ModelFileError(f"{path} is damaged: it became shorter while it was read.", AGAIN)
    return data


def _entries(header: dict[str, Any], path: Path) -> list[_Entry]:
    return [_entry(name, fields, path) for name, fields in header.items() if name != _METADATA]


def _entry(name: str, fields: Any, path: Path) -> _Entry:
    """Return one tensor of the header, whose size and numbers agree."""
    fields = fields if isinstance(fields, dict) else {}
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str):
        raise _damaged(path, f"{printable(name)} has no kind of number")
    if kind not in _NUMBER_TYPES:
        raise ModelFileError(
            f"{path} holds {printable(name)} in an unknown kind of number ({printable(kind)}).",
            "Ask the author for weights in single or half precision.",
        )
    numbers = NUMBER_TYPES[_NUMBER_TYPES[kind]]
    if not isinstance(shape, list) or not is_shape(shape):
        raise _damaged(path, f"{printable(name)} has no shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_size, offsets)):
        raise _damaged(path, f"{printable(name)} has no place")
    if offsets[1] - offsets[0] != math.prod(shape) * numbers.stored.itemsize:
        raise _damaged(path, f"the size of {printable(name)} is not that of its shape")
    return _Entry(name, numbers, tuple(shape), *offsets)


def _check_layout(entries: list[_Entry], length: int, path: Path) -> None:
    """Raise ModelFileError unless the tensors fill ``length`` bytes without gaps or overlaps."""
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if entry.start != position:
            raise _damaged(path, f"{printable(entry.name)} does not follow the weight before it")
        position = entry.end
    if position > length:
        raise ModelFileError(f"{path} is cut off: {position - length} bytes are missing.", AGAIN)
    if position < length:
        raise _damaged(path, f"{length - position} bytes at its end belong to nothing")


def _damaged(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(f"{path} is damaged: {reason}.", AGAIN)
