"""The protobuf wire format: what we write, protobuf itself reads, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.model import protobuf as wire

onnx = pytest.importorskip("onnx")


def test_every_kind_of_field_is_read_by_protobuf_as_it_was_written() -> None:
    numbers = np.arange(6, dtype="<f4")
    written = b"".join(
        (
            wire.text_field(8, "Größe"),
            wire.packed_field(1, [2, 300, 2**63 - 1, -1]),
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
