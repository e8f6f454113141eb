"""The protobuf wire format, as far as ONNX files use it: fields written and fields read.

A message is a row of fields; each is a key (its number and its wire type, as one varint) and a
value: a varint, 4 or 8 bytes, or a length and that many bytes. What a number means is known only
to the message's description, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for ONNX.
The format itself: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Iterator, KeysView

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Buffer = bytes | mmap.mmap

_FIXED_SIZES = {FIXED32: 4, FIXED64: 8}
_LONGEST_VARINT = 10  # bytes, for 64 bits

# Wire type, and the value of a varint, or where the bytes of any other field start and end.
_Field = tuple[int, int, int]


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


class WireError(ValueError):
    """The bytes are no message, or not the one that is asked for; the text says why."""


def read_message(data: Buffer, most_fields: int) -> Message:
    """Return the message that fills ``data``; nothing but the keys of its own fields is read.

    It and the messages in it may have ``most_fields`` fields together, which bounds the time and
    the memory that made-up bytes can cost. Raises WireError, as all methods of a message do.
    """
    return Message(_Source(data, most_fields), 0, len(data))


class Message:
    """The fields of one message by their numbers; what is in a field stays unread until asked for.

    Only what a strict writer writes is accepted. Where a field is given twice that may be given
    once, protobuf merges the two; where its wire type is another, protobuf skips it. A check that
    read either in another way than its consumer would check nothing, so both are errors.
    """

    __slots__ = ("_fields", "_source")

    def __init__(self, source: _Source, start: int, end: int) -> None:
        self._source = source
        self._fields = fields = {}
        data, left, position = source.data, source.fields_left, start
        while position < end:
            key, position = _read_varint(data, position, end)
            number, wire_type = key >> 3, key & 7
            if wire_type == VARINT:
                value, position = _read_varint(data, position, end)
                field = (VARINT, value, 0)
            else:
                if wire_type == BYTES:
                    size, position = _read_varint(data, position, end)
                elif wire_type in _FIXED_SIZES:
                    size = _FIXED_SIZES[wire_type]
                else:
                    raise WireError(f"it has a field of the unknown wire type {wire_type}")
                field = (wire_type, position, position + size)
                position += size
                if position > end:
                    raise WireError(f"{position - end} bytes of it are missing")
            if not 0 < number < 1 << 29:
                raise WireError(f"{number} cannot be the number of a field")
            if not left:
                raise WireError("it has too many parts")
            left -= 1
            fields.setdefault(number, []).append(field)
        source.fields_left = left

    def numbers(self) -> KeysView[int]:
        """Return the numbers of the fields that are there."""
        return self._fields.keys()

    def count(self, number: int) -> int:
        """Return how often a repeated field is there."""
        return len(self._fields.get(number, ()))

    def integer(self, number: int) -> int | None:
        """Return a signed 64-bit integer (or boolean, or enumeration), None where absent."""
        field = self._only(number, VARINT)
        return None if field is None else _signed(field[1])

    def integers(self, number: int) -> list[int]:
        """Return a repeated integer, whether written in one piece or one by one."""
        values = []
        for wire_type, start, end in self._fields.get(number, ()):
            if wire_type == VARINT:
                values.append(_signed(start))
                continue
            _expect(number, wire_type, BYTES)
            while start < end:
                value, start = _read_varint(self._source.data, start, end)
                self._source.spend()
                values.append(_signed(value))
        return values

    def size(self, number: int) -> int | None:
        """Return how many bytes are in a field of bytes, None where absent."""
        field = self._only(number, BYTES)
        return None if field is None else field[2] - field[1]

    def content(self, number: int) -> bytes:
        """Return a copy of the bytes in a field, none where absent."""
        field = self._only(number, BYTES)
        return b"" if field is None else self._source.data[field[1] : field[2]]

    def text(self, number: int) -> str:
        """Return a text, empty where absent, which protobuf does not tell apart."""
        return _decoded(number, self.content(number))

    def texts(self, number: int) -> list[str]:
        """Return a repeated text."""
        texts = []
        for wire_type, start, end in self._fields.get(number, ()):
            _expect(number, wire_type, BYTES)
            texts.append(_decoded(number, self._source.data[start:end]))
        return texts

    def sha256(self, number: int, more: bytes) -> str:
        """Return the hash, in hexadecimal digits, of the bytes in a field and ``more`` after them.

        An absent field has none.
        """
        field = self._only(number, BYTES)
        start, end = (0, 0) if field is None else field[1:]
        with memoryview(self._source.data) as whole, whole[start:end] as part:
            digest = hashlib.sha256(part)
        digest.update(more)
        return digest.hexdigest()

    def message(self, number: int) -> Message | None:
        """Return the message in a field, None where absent."""
        field = self._only(number, BYTES)
        return None if field is None else Message(self._source, field[1], field[2])

    def messages(self, number: int) -> Iterator[Message]:
        """Yield the messages in a repeated field; each is read when its turn comes."""
        for wire_type, start, end in self._fields.get(number, ()):
            _expect(number, wire_type, BYTES)
            yield Message(self._source, start, end)

    def _only(self, number: int, wire_type: int) -> _Field | None:
        fields = self._fields.get(number)
        if fields is None:
            return None
        if len(fields) > 1:
            raise WireError(f"its field {number} is given {len(fields)} times")
        _expect(number, fields[0][0], wire_type)
        return fields[0]


class _Source:
    """The buffer that messages lie in, and how many fields of it may still be read."""

    def __init__(self, data: Buffer, fields_left: int) -> None:
        self.data = data
        self.fields_left = fields_left

    def spend(self) -> None:
        if not self.fields_left:
            raise WireError("it has too many parts")
        self.fields_left -= 1


def _read_varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    """Return the varint at ``position`` and the position after it."""
    if position < end and (value := data[position]) < 0x80:  # nearly all are, in ONNX
        return value, position + 1
    value = 0
    for count in range(min(_LONGEST_VARINT, end - position)):
        group = data[position + count]
        value |= (group & 0x7F) << 7 * count
        if group < 0x80 and value < 1 << 64:
            return value, position + count + 1
    raise WireError("an integer in it does not end or does not fit 64 bits")


def _decoded(number: int, text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise WireError(f"its text {number} is not UTF-8") from None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _expect(number: int, wire_type: int, expected: int) -> None:
    if wire_type != expected:
        raise WireError(f"its field {number} has the wire type {wire_type}, not {expected}")
