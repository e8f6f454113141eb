"""The protobuf wire format: what we write, protobuf itself reads, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.model import protobuf as wire

onnx = pytest.importorskip("onnx")


def packed(number: int, values: list[int]) -> bytes:
    """Return the repeated field ``number`` with all its integers in one piece."""
    return wire.bytes_field(number, b"".join(map(wire.varint, values)))


def test_every_kind_of_field_is_read_by_protobuf_as_it_was_written() -> None:
    numbers = np.arange(6, dtype="<f4")
    written = b"".join(
        (
            wire.text_field(8, "Größe"),
            packed(1, [2, 300, 2**63 - 1, -1]),
            wire.varint_field(2, onnx.TensorProto.FLOAT),
            wire.bytes_field(9, memoryview(numbers.reshape(2, 3))),
        )
    )
    tensor = onnx.TensorProto.FromString(written)
    assert tensor.name == "Größe"
    assert list(tensor.dims) == [2, 300, 2**63 - 1, -1]
    assert tensor.data_type == onnx.TensorProto.FLOAT
    assert tensor.raw_data == numbers.tobytes()
    attribute = onnx.AttributeProto.FromString(
        wire.float_field(2, 1e-5) + wire.bytes_field(5, tensor.SerializeToString())
    )
    assert attribute.f == np.float32(1e-5)
    assert attribute.t == tensor


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**63 - 1, -1, -(2**63)])
def test_an_integer_keeps_its_value_and_takes_the_fewest_bytes(value: int) -> None:
    assert onnx.AttributeProto(i=value).SerializeToString() == wire.varint_field(3, value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_an_integer_beyond_64_bits_is_not_written(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        wire.varint(value)


def test_an_array_that_is_not_in_c_order_is_not_written_wrongly() -> None:
    with pytest.raises((BufferError, TypeError)):
        wire.bytes_field(9, memoryview(np.zeros((3, 2), np.float32).T))


def read(data: bytes, most_fields: int = 100) -> wire.Message:
    return wire.read_message(data, most_fields)


def test_what_protobuf_writes_is_read_as_it_was_meant() -> None:
    tensor = onnx.TensorProto(
        dims=[2, -3, 2**40], data_type=7, name="ö", raw_data=b"\0\xff", float_data=[1, 2]
    )
    attribute = onnx.AttributeProto(name="a", t=tensor, tensors=[tensor, tensor], i=-1, f=0.5)
    message = read(attribute.SerializeToString())
    assert message.numbers() == {1, 2, 3, 5, 10}
    assert message.text(1) == "a" and message.integer(3) == -1
    assert message.count(10) == len(list(message.messages(10))) == 2 and message.count(7) == 0
    inner = message.message(5)
    assert inner is not None
    assert (inner.text(8), inner.integer(2), inner.size(9)) == ("ö", 7, 2)
    assert (inner.texts(8), inner.content(9)) == (["ö"], b"\0\xff")
    assert inner.integers(1) == [2, -3, 2**40]


def test_what_is_absent_is_nothing() -> None:
    message = read(b"")
    assert message.integer(1) is message.size(1) is message.message(1) is None
    assert message.text(1) == "" and message.content(1) == b"" and message.count(1) == 0
    assert message.integers(1) == message.texts(1) == [] == list(message.messages(1))


def test_integers_are_read_in_one_piece_or_one_by_one() -> None:
    data = packed(1, [1, -1]) + wire.varint_field(1, 300)
    assert read(data).integers(1) == [1, -1, 300]
    assert read(b"\x08\x81\x80\x00").integer(1) == 1  # not the shortest form, but a valid one


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80", "does not end"),
        (b"\x08", "does not end"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "does not end"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "does not fit 64 bits"),
        (b"\x0a\x05abcd", "1 bytes of it are missing"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "bytes of it are missing"),
        (b"\x0d\x01\x02\x03", "1 bytes of it are missing"),
        (b"\x09" + bytes(7), "1 bytes of it are missing"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0f", "wire type 7"),
        (b"\x02\x00", "0 cannot be the number"),
        (wire.varint(2**29 << 3) + b"\x01", "cannot be the number"),
    ],
)
def test_bytes_that_are_no_message_are_an_error(data: bytes, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        read(data)


def test_a_message_inside_cannot_reach_beyond_its_end() -> None:
    outer = read(wire.bytes_field(1, b"\x0a\x03ab") + wire.text_field(2, "secret"))
    with pytest.raises(wire.WireError, match="1 bytes of it are missing"):
        outer.message(1)
    outer = read(wire.bytes_field(1, b"\x80") + b"\x10\x01")
    with pytest.raises(wire.WireError, match="does not end"):
        outer.integers(1)


def test_a_field_of_another_kind_or_given_twice_is_an_error() -> None:
    twice = read(wire.varint_field(1, 1) * 2 + wire.text_field(2, "") * 2)
    number, text = read(wire.varint_field(1, 1)), read(wire.text_field(1, "abc"))
    for ask in (
        lambda: twice.integer(1),
        lambda: twice.text(2),
        lambda: twice.message(2),
        lambda: text.integer(1),
        lambda: number.text(1),
        lambda: number.size(1),
        lambda: list(number.messages(1)),
        lambda: number.texts(1),
        lambda: twice.content(2),
        lambda: read(wire.float_field(1, 1)).integers(1),
    ):
        with pytest.raises(wire.WireError, match="its field"):
            ask()


def test_no_more_fields_are_read_than_allowed_inside_and_outside_together() -> None:
    inner = wire.bytes_field(1, wire.varint_field(1, 1) * 3)
    assert len(list(read(inner * 2, 8).messages(1))) == 2
    with pytest.raises(wire.WireError, match="too many parts"):
        list(read(inner * 2, 7).messages(1))
    with pytest.raises(wire.WireError, match="too many parts"):
        read(packed(1, [1] * 4), 4).integers(1)
