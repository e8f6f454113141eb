"""The kinds of number that weights are stored as, and how numpy holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_AXES = 32  # before numpy 2
_LARGEST_SIZE = 2**48


@dataclass(frozen=True)
class NumberType:
    """One kind of number: PyTorch's name of it and the numpy type with its bytes, low byte first.

    numpy knows no bfloat16 and no truth value but 0 and 1; both are read as integers first.
    """

    name: str
    stored: np.dtype

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return numbers for an array of type ``stored``; bfloat16 becomes float32.

        All other kinds come back as the same memory where possible.
        """
        if self.name == "bfloat16":
            bits = stored.astype(np.uint32)
            bits <<= 16
            return bits.view(np.float32)
        if self.name == "bool":
            return stored != 0
        return stored


def is_shape(value: Any) -> bool:
    """Return whether ``value``, a list or tuple out of a file, is a shape numpy can hold."""
    return (
        len(value) <= _MOST_AXES
        and all(map(is_size, value))
        and math.prod(length or 1 for length in value) <= _LARGEST_SIZE
    )


def is_size(value: Any) -> bool:
    """Return whether ``value`` can count the bytes or numbers of a file."""
    return type(value) is int and 0 <= value <= _LARGEST_SIZE


NUMBER_TYPES = {
    name: NumberType(name, np.dtype(code))
    for name, code in (
        ("float64", "<f8"),
        ("float32", "<f4"),
        ("float16", "<f2"),
        ("bfloat16", "<u2"),
        ("complex128", "<c16"),
        ("complex64", "<c8"),
        ("int64", "<i8"),
        ("int32", "<i4"),
        ("int16", "<i2"),
        ("int8", "i1"),
        ("uint64", "<u8"),
        ("uint32", "<u4"),
        ("uint16", "<u2"),
        ("uint8", "u1"),
        ("bool", "u1"),
    )
}
