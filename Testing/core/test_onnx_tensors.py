"""Tensors in ONNX files: whatever they declare must be in the file, and nothing outside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_files import TensorProto, helper, make_model, numpy_helper, onnx, run, write
from refusals import refusal

from GDLACore.model import protobuf as wire
from GDLACore.model.onnx_file import check_onnx_file

Change = Callable[[onnx.TensorProto], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def first_weights(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.graph.initializer[0]  # conv.weight, 4 x 1 x 3 x 3 float32 in raw_data


def with_weights(path: Path, change: Change) -> Path:
    model = make_model()
    change(first_weights(model))
    return write(path, model)


KINDS = "FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 BOOL FLOAT16 DOUBLE UINT32 UINT64 BFLOAT16"
OURS = "FLOAT INT64 FLOAT16"


def with_more(path: Path, kind: str, raw: bool) -> Path:
    """Write a model with a tensor of ``kind`` [2, 3] in which there are six numbers."""
    model = make_model()
    element = getattr(TensorProto, kind)
    size = np.dtype(helper.tensor_dtype_to_np_dtype(element)).itemsize
    values = bytes([1, *[0] * (size - 1)] * 6) if raw else [0, 1, 2, 1, 1, 0]
    model.graph.initializer.append(helper.make_tensor("more", element, (2, 3), values, raw))
    return write(path, model)


@pytest.mark.parametrize("kind", KINDS.split())
@pytest.mark.parametrize("raw", [True, False])
def test_only_tensors_of_our_kinds_in_our_form_pass(path: Path, kind: str, raw: bool) -> None:
    with_more(path, kind, raw)
    if kind in OURS.split() and raw:
        assert check_onnx_file(path).name == "abdomen"
        run(path)
    else:
        assert "of a kind that no network of ours has" in refusal(path, check_onnx_file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: setattr(t, "raw_data", t.raw_data[:-4]), "bytes in the file"),
        (lambda t: t.ClearField("raw_data"), "has 0 bytes in the file"),
        (lambda t: t.float_data.append(1), "of a kind that no network of ours has (1)"),
        (lambda t: t.dims.append(2), "bytes in the file"),
        (lambda t: t.dims.append(2**40), "with the impossible shape"),
        (lambda t: t.dims.extend([2**62] * 4), "with the impossible shape"),
        (lambda t: t.dims.extend([2**62] * 50_000), "with the impossible shape"),
        (lambda t: t.dims.append(-1), "with the impossible shape"),
        (lambda t: t.dims.extend([-1, -1]), "with the impossible shape"),
        (lambda t: t.dims.extend([0, -1]), "with the impossible shape"),
        (lambda t: t.dims.append(0), "bytes in the file"),
        (lambda t: t.ClearField("data_type"), "of a kind that no network of ours has (None)"),
        (lambda t: setattr(t, "data_type", TensorProto.STRING), "of a kind that no"),
        (lambda t: setattr(t, "data_type", TensorProto.DOUBLE), "of a kind that no network of"),
        (lambda t: setattr(t, "data_type", TensorProto.FLOAT16), "bytes in the file"),
        (lambda t: setattr(t, "data_type", 99), "of a kind that no network of ours has (99)"),
        (lambda t: t.string_data.append(b"text"), "of a kind that no network"),
        (lambda t: setattr(t.segment, "begin", 3), "of a kind that no network"),
    ],
)
def test_weights_that_are_not_what_they_declare_are_refused(
    path: Path, change: Change, message: str
) -> None:
    assert message in refusal(with_weights(path, change), check_onnx_file)


@pytest.mark.parametrize(
    "dims", [[4, 1, 3, 2**40], [2**62, 2**62, 4, 4], [-4, 1, -3, 3], [4, 1, 3, 4]]
)
def test_onnx_runtime_cannot_use_weights_that_were_refused_either(
    path: Path, dims: list[int]
) -> None:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.dims[:] = dims

    refusal(with_weights(path, change), check_onnx_file)
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        run(path)


def external(location: str) -> Change:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", "144")):
            tensor.external_data.add(key=key, value=value)

    return change


def test_onnx_runtime_would_read_another_file_that_the_model_names(path: Path) -> None:
    (path.parent / "private.bin").write_bytes(np.ones(36, "<f4").tobytes())
    with_weights(path, external("private.bin"))
    assert run(path).any()
    assert "in another file, 'private.bin'" in refusal(path, check_onnx_file)


@pytest.mark.parametrize(
    "location",
    [
        "../private.bin",
        "weights/../../private.bin",
        "..\\private.bin",
        "/etc/passwd",
        "\\\\server\\share\\private.bin",
        "C:\\private.bin",
        "c:private.bin",
        "file:///etc/passwd",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_a_file_outside_the_folder_is_refused_as_such(path: Path, location: str) -> None:
    message = refusal(with_weights(path, external(location)), check_onnx_file)
    assert f"asks for the file {location!a} outside its own folder" in message


@pytest.mark.parametrize("location", ["weights.bin", "weights/w.bin", "./w.bin", "", "w\n" * 500])
def test_a_file_in_the_folder_is_refused_too(path: Path, location: str) -> None:
    with_weights(path, external(location))
    assert "is in another file" in refusal(path, check_onnx_file)


def test_a_reference_to_another_file_is_refused_even_beside_the_numbers(path: Path) -> None:
    with_weights(path, lambda t: t.external_data.add(key="location", value="w.bin"))
    assert "in another file, 'w.bin'" in refusal(path, check_onnx_file)
    with_weights(path, lambda t: setattr(t, "data_location", TensorProto.EXTERNAL))
    assert "in another file, ''" in refusal(path, check_onnx_file)


SPARSE = onnx.SparseTensorProto(
    values=numpy_helper.from_array(np.ones(1, np.float32), "sparse"),
    indices=numpy_helper.from_array(np.zeros(1, np.int64)),
    dims=[2**40],
)


def test_sparse_weights_that_would_unfold_are_refused(path: Path) -> None:
    model = make_model()
    model.graph.sparse_initializer.append(SPARSE)
    assert "holds sparse weights" in refusal(write(path, model), check_onnx_file)
    model = make_model()
    model.graph.node.append(helper.make_node("Relu", ["image"], ["x"], sparse_value=SPARSE))
    assert "data of an unknown kind" in refusal(write(path, model), check_onnx_file)


def nested(*numbers: int, content: bytes) -> bytes:
    """Return ``content`` in a field in a field ...; the outermost number comes first."""
    for number in reversed(numbers):
        content = wire.bytes_field(number, content)
    return content


OUTSIDE = nested(13, content=wire.text_field(1, "location") + wire.text_field(2, "/etc/passwd"))
TENSOR = wire.varint_field(1, 1) + wire.varint_field(2, 1) + wire.text_field(8, "w")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        # Protobuf merges a second graph into the first.
        (nested(7, 1, content=wire.text_field(4, "Loop")), "field 7 is given 2 times"),
        (nested(7, 5, content=TENSOR + OUTSIDE), "field 7 is given 2 times"),
        # Protobuf keeps the last of two numbers.
        (wire.varint_field(1, 99), "field 1 is given 2 times"),
        # Protobuf skips what has another type; whoever does not must not act on it.
        (wire.varint_field(7, 1), "field 7 is given 2 times"),
        (wire.varint_field(14, 1), "field 14 has the wire type 0, not 2"),
        (b"\x3b\x3c", "unknown wire type 3"),
        (b"\x3e", "unknown wire type 6"),
        (b"\x00\x01", "0 cannot be the number of a field"),
        (b"\x3a\xff\xff\xff\xff\x07", "bytes of it are missing"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "bytes of it are missing"),
        (b"\x3a" + b"\xff" * 11, "does not end or does not fit 64 bits"),
        (b"\x3a", "does not end"),
        (wire.bytes_field(14, wire.bytes_field(1, b"\xff\xfe")), "its text 1 is not UTF-8"),
    ],
)
def test_what_protobuf_would_read_in_another_way_is_refused(
    path: Path, more: bytes, message: str
) -> None:
    path.write_bytes(make_model().SerializeToString() + more)
    assert message in refusal(path, check_onnx_file)


def test_a_merged_graph_would_have_reached_onnx_runtime(path: Path) -> None:
    more = nested(7, 1, content=wire.text_field(4, "Loop") + wire.text_field(1, "image"))
    model = onnx.ModelProto.FromString(make_model().SerializeToString() + more)
    assert [node.op_type for node in model.graph.node][-1] == "Loop"


def test_a_number_beyond_32_bits_cannot_hide_that_a_tensor_is_elsewhere(path: Path) -> None:
    tensor = TENSOR + wire.varint_field(14, 2**32 + 1) + wire.bytes_field(9, bytes(4))
    model = make_model()
    graph = model.graph.SerializeToString() + nested(5, content=tensor)
    model.ClearField("graph")
    path.write_bytes(model.SerializeToString() + wire.bytes_field(7, graph))
    assert "is in another file" in refusal(path, check_onnx_file)
