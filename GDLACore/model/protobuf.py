"""The protobuf wire format, as far as ONNX files use it: fields written and fields read.

A message is a row of fields; each is a key (its number and its wire type, as one varint) and a
value: a varint, 4 or 8 bytes, or a length and that many bytes. What a number means is known only
to the message's description, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for ONNX.
The format itself: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """Return ``value`` in groups of seven bits, lowest first; below zero as 64-bit complement.

    Raises ValueError for what 64 bits cannot hold.
    """
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{value} does not fit 64 bits")
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def varint_field(number: int, value: int) -> bytes:
    """Return the field ``number`` with an integer, a boolean or an enumeration's value."""
    return _key(number, VARINT) + varint(value)


def packed_field(number: int, values: Iterable[int]) -> bytes:
    """Return the repeated field ``number`` with all its integers in one piece."""
    return bytes_field(number, b"".join(map(varint, values)))


def bytes_field(number: int, value: bytes | bytearray | memoryview) -> bytes:
    """Return the field ``number`` with bytes, or with a message that is written already.

    A memoryview may be of numbers (of a numpy array, say) but must be contiguous in C order.
    """
    return b"".join((_key(number, BYTES), varint(memoryview(value).nbytes), value))


def text_field(number: int, value: str) -> bytes:
    """Return the field ``number`` with a text, in UTF-8."""
    return bytes_field(number, value.encode("utf-8"))


def float_field(number: int, value: float) -> bytes:
    """Return the field ``number`` with a 32-bit float."""
    return _key(number, FIXED32) + struct.pack("<f", value)


def _key(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)
