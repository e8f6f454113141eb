"""ONNX files cut off, changed at random or made up to be slow: refused in time, never misread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import CARD, DecodeError, make_model, numpy_helper, onnx
from refusals import refusal

from GDLACore.errors import ModelFileError
from GDLACore.model import protobuf as wire
from GDLACore.model.bundle import CARD_KEY, read_card
from GDLACore.model.onnx_file import check_onnx_file, read_onnx_card
from GDLACore.model.onnx_operators import OPERATORS

ATTRIBUTE_FIELDS = {"name", "type", "f", "i", "s", "ints", "doc_string"}

WHOLE = make_model().SerializeToString()
CARD_START = WHOLE.index(CARD_KEY.encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_a_file_cut_off_anywhere_is_refused(path: Path) -> None:
    for length in range(1, len(WHOLE), 7):
        path.write_bytes(WHOLE[:length])
        message = refusal(path, check_onnx_file)
        assert "is cut off" in message or "holds no model card" in message


def damaged(seed: int) -> bytes:
    """Return the file with one to three bytes changed, seldom in the card, which is most of it."""
    rng = np.random.default_rng(seed)
    data = bytearray(WHOLE)
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(len(data) if rng.random() < 0.1 else CARD_START)
        if rng.random() < 0.5:
            data[place] ^= 1 << rng.integers(8)
        else:
            data[place] = rng.integers(256)
    return bytes(data)


def assert_means_the_same_to_protobuf(data: bytes) -> None:
    """Hold what has passed against what protobuf makes of it, if it can read it at all."""
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:  # in parts that we pass over; ONNX Runtime then refuses the file
        return
    assert not model.functions and not model.training_info
    assert len(model.graph.input) == len(model.graph.output) == 1
    nodes = list(model.graph.node)
    assert all(node.op_type in OPERATORS and not node.domain for node in nodes)
    attributes = [attribute for node in nodes for attribute in node.attribute]
    assert {field.name for a in attributes for field, _ in a.ListFields()} <= ATTRIBUTE_FIELDS
    for tensor in model.graph.initializer:
        assert tensor.data_location == 0 and not tensor.external_data
        assert list(numpy_helper.to_array(tensor).shape) == list(tensor.dims)


def test_damage_is_refused_or_means_the_same_to_protobuf(path: Path) -> None:
    passed = 0
    for seed in range(2000):
        data = damaged(seed)
        path.write_bytes(data)
        try:
            check_onnx_file(path)
        except ModelFileError as error:
            assert str(path) in error.message and "\n" not in error.message
        else:
            passed += 1
            assert_means_the_same_to_protobuf(data)
    assert 200 < passed < 1800  # most that pass are changed in the weights or in the names


def test_reading_only_the_card_of_a_damaged_file_is_as_safe(path: Path) -> None:
    for seed in range(500):
        path.write_bytes(damaged(seed))
        for read in (read_onnx_card, read_card):
            try:
                read(path)
            except ModelFileError as error:
                assert str(path) in error.message


def with_graph(graph: bytes) -> bytes:
    model = make_model()
    whole = model.graph.SerializeToString() + graph
    model.ClearField("graph")
    return model.SerializeToString() + wire.bytes_field(7, whole)


def test_millions_of_parts_are_refused_before_they_fill_the_memory(path: Path) -> None:
    relu = wire.bytes_field(1, wire.text_field(4, "Relu"))
    path.write_bytes(with_graph(relu * 2_000_000))
    assert "it has too many parts" in refusal(path, check_onnx_file)
    one_by_one = wire.varint_field(1, 1) * 2_000_000
    path.write_bytes(with_graph(wire.bytes_field(5, one_by_one)))
    assert "it has too many parts" in refusal(path, check_onnx_file)
    in_one_piece = wire.varint_field(2, 1) + wire.bytes_field(1, b"\x01" * 2_000_000)
    path.write_bytes(with_graph(wire.bytes_field(5, in_one_piece)))
    assert "it has too many parts" in refusal(path, check_onnx_file)


def test_a_long_name_costs_nothing_for_each_of_its_uses(path: Path) -> None:
    # 20,000 copies of 20 MB would take minutes.
    attribute = wire.bytes_field(5, wire.text_field(1, "a") + wire.varint_field(8, 1))
    node = wire.text_field(3, "n" * 20_000_000) + wire.text_field(4, "Relu")
    node += wire.text_field(1, "image") + attribute * 20_000
    path.write_bytes(with_graph(wire.bytes_field(1, node)))
    assert check_onnx_file(path) == CARD


def test_graphs_nested_very_deeply_are_refused_without_going_down(path: Path) -> None:
    node = b""
    for _ in range(2000):
        node = wire.text_field(4, "If") + wire.bytes_field(5, wire.bytes_field(6, node))
    path.write_bytes(with_graph(wire.bytes_field(1, node)))
    assert "uses the operator 'If'" in refusal(path, check_onnx_file)
