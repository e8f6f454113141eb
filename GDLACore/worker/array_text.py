"""The labels of a slice as text, for a message: small enough, and needing no file."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping

import numpy as np

_KINDS = ("uint8", "uint16")

# Labels are large areas of the same number: more effort takes longer and saves nothing.
_EFFORT = 1


def encoded_array(array: np.ndarray) -> dict[str, object]:
    """Return ``array``, uint8 or uint16 [h, w], as what JSON can hold."""
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "zlib": base64.b64encode(zlib.compress(values, _EFFORT)).decode("ascii"),
    }


def decoded_array(fields: Mapping[str, object]) -> np.ndarray:
    """Return the array [h, w] that ``fields`` say, read-only; raise ValueError if they say none."""
    kind, shape, text = (fields.get(name) for name in ("dtype", "shape", "zlib"))
    if kind not in _KINDS:
        raise ValueError(f"{kind!r:.50} is no type of labels")
    if not _is_shape(shape):
        raise ValueError(f"{shape!r:.50} is no shape of a slice")
    dtype = np.dtype(kind).newbyteorder("<")
    size = math.prod(shape) * dtype.itemsize
    return np.frombuffer(_inflated(text, size), dtype).reshape(shape).astype(kind, copy=False)


def _is_shape(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(length) is int and length > 0 for length in value)
    )


def _inflated(text: object, size: int) -> bytes:
    if not isinstance(text, str):
        raise ValueError("labels are missing")
    try:
        inflate = zlib.decompressobj()
        # One more than wanted is enough to see that there is too much.
        found = inflate.decompress(base64.b64decode(text, validate=True), size + 1)
    except (zlib.error, OverflowError) as error:
        raise ValueError(f"labels cannot be unpacked: {error}") from error
    if len(found) != size or not inflate.eof:
        raise ValueError(f"labels are not of {size} bytes")
    return found
