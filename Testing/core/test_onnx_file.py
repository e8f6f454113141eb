"""ONNX files: ours pass, and what ONNX Runtime must not be shown is refused before it is."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_files import (
    CARD,
    TensorProto,
    helper,
    image_value,
    logits_value,
    make_model,
    numpy_helper,
    onnx,
    run,
    write,
)
from refusals import refusal

from GDLACore.model import protobuf as wire
from GDLACore.model.bundle import CARD_KEY, read_card
from GDLACore.model.onnx_file import check_onnx_file, read_onnx_card

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def changed(path: Path, change: Change) -> Path:
    model = make_model()
    change(model)
    return write(path, model)


def set_card(text: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props[1].value = text

    return change


def add_node(operator: str, domain: str = "", **attributes: object) -> Change:
    """Return a change that adds a node which takes the image and whose result nobody uses."""
    node = helper.make_node(operator, ["image"], ["unused"], "odd", domain=domain, **attributes)
    return lambda model: model.graph.node.append(node)


def test_a_sound_file_passes_and_runs(path: Path) -> None:
    write(path, make_model())
    assert read_onnx_card(path) == check_onnx_file(path) == read_card(path) == CARD
    assert run(path).shape == (2, 4, 32, 64)


@pytest.mark.parametrize(
    "change",
    [
        add_node("Cast", to=TensorProto.FLOAT16),
        lambda m: m.graph.value_info.append(logits_value(name="blurred")),
        lambda m: m.graph.initializer.append(numpy_helper.from_array(np.float32(3), "scalar")),
        lambda m: m.graph.initializer.append(
            numpy_helper.from_array(np.zeros((0, 4), np.float32), "empty")
        ),
        lambda m: m.graph.metadata_props.add(key="a", value="b"),
        lambda m: setattr(m, "doc_string", "A network.\n" * 1000),
    ],
)
def test_what_a_file_may_also_contain_passes_and_runs(path: Path, change: Change) -> None:
    changed(path, change)
    assert check_onnx_file(path) == CARD
    assert run(path).shape == (2, 4, 32, 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.ClearField("metadata_props"), "holds no model card"),
        (lambda m: m.metadata_props.pop(), "holds no model card"),
        (lambda m: m.metadata_props.append(m.metadata_props[1]), "holds no usable model card"),
        (set_card(" " * 2**21), "holds no usable model card"),
        (set_card(""), "is not valid JSON"),
        (set_card("[" * 100_000), "nested too deeply"),
        (set_card('{"name": "resnet"}'), "schema is missing"),
        (set_card(CARD.to_json().replace('"CT"', '"PET"')), "modality must be one of"),
    ],
)
def test_a_file_without_a_card_of_ours_is_refused(path: Path, change: Change, message: str) -> None:
    changed(path, change)
    assert message in refusal(path, check_onnx_file)
    assert message in refusal(path, read_onnx_card)
    assert message in refusal(path, read_card)


def versions(**operators: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        for domain, version in operators.items():
            model.opset_import.append(
                helper.make_opsetid(domain.replace("_", ".").strip("."), version)
            )

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m, "ir_version", 8), "has version 8 of the ONNX format; files of ours"),
        (lambda m: setattr(m, "ir_version", 10), "has version 10 of the ONNX format"),
        (lambda m: m.ClearField("ir_version"), "is not an ONNX file"),
        (versions(_=17), "is written for version 17 of the ONNX operators; files of ours"),
        (versions(_=21), "is written for version 21"),
        (versions(_=-20), "is written for version -20"),
        (versions(), "does not name one version of ONNX operators, but 0"),
        (lambda m: m.opset_import.append(m.opset_import[0]), "but 2"),
        (versions(com_microsoft=1), "needs operators of its own ('com.microsoft')"),
        (versions(_=20, ai_onnx=20), "needs operators of its own ('ai.onnx')"),
        (versions(_=20, ai_onnx_ml=3), "needs operators of its own ('ai.onnx.ml')"),
        (versions(_=20, my_operators=1), "needs operators of its own ('my.operators')"),
    ],
)
def test_other_versions_and_foreign_operators_are_refused(
    path: Path, change: Change, message: str
) -> None:
    assert message in refusal(changed(path, change), check_onnx_file)


SUBGRAPH = helper.make_graph([], "inner", [], [image_value(name="image")])
TENSOR = numpy_helper.from_array(np.ones(1, np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_node("If", then_branch=SUBGRAPH, else_branch=SUBGRAPH), "uses the operator 'If'"),
        (add_node("Loop", body=SUBGRAPH), "uses the operator 'Loop'"),
        (add_node("Scan", body=SUBGRAPH, num_scan_inputs=1), "uses the operator 'Scan'"),
        (add_node("RandomNormalLike"), "uses the operator 'RandomNormalLike'"),
        (add_node("EPContext", "com.microsoft"), "uses the operator 'com.microsoft.EPContext'"),
        (add_node("Relu", "my.operators"), "uses the operator 'my.operators.Relu'"),
        (add_node("Gelu", "com.microsoft"), "uses the operator 'com.microsoft.Gelu'"),
        (add_node("Relu", "ai.onnx"), "uses the operator 'ai.onnx.Relu'"),
        (add_node("ConstantOfShape"), "uses the operator 'ConstantOfShape'"),
        (add_node("Constant", value_float=1.0), "uses the operator 'Constant'"),
        (add_node("Expand"), "uses the operator 'Expand'"),
        (add_node("Tile"), "uses the operator 'Tile'"),
        (add_node("Pad"), "uses the operator 'Pad'"),
        (add_node("Einsum"), "uses the operator 'Einsum'"),
        (add_node("QLinearConv"), "uses the operator 'QLinearConv'"),
        (add_node(""), "uses the operator ''"),
        (add_node("\x1b[2J\n" * 500), "uses the operator '"),
        (add_node("Relu", body=SUBGRAPH), "hides another graph"),
        (add_node("Relu", bodies=[SUBGRAPH]), "hides another graph"),
        (add_node("Relu", value=TENSOR), "data of an unknown kind"),
        (add_node("Relu", values=[TENSOR]), "data of an unknown kind"),
        (add_node("Relu", words=["many"]), "data of an unknown kind"),
        (
            lambda m: m.functions.append(
                helper.make_function("", "Relu", ["x"], ["x"], [], m.opset_import)
            ),
            "holds more than a network",
        ),
        (lambda m: m.training_info.add(), "holds more than a network"),
        (lambda m: m.ClearField("graph"), "holds no network"),
    ],
)
def test_what_is_more_than_a_network_of_known_operators_is_refused(
    path: Path, change: Change, message: str
) -> None:
    assert message in refusal(changed(path, change), check_onnx_file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x08", "is cut off"),
        (b"\x08\x08", "holds no model card"),
        (b"\x08\x08\x0b" * 64, "is cut off, damaged or not"),
        (b"<html>Not found</html>", "is not an ONNX file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not an ONNX file"),
        (b"PK\x03\x04" + bytes(60), "is not an ONNX file"),
        (bytes(64), "is not an ONNX file"),
    ],
)
def test_what_is_not_onnx_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    assert message in refusal(path, check_onnx_file)
    assert message in refusal(path, read_onnx_card)


MODELS_OF_OTHERS = sorted(Path(onnx.__file__).parent.glob("backend/test/data/**/*.onnx"))


@pytest.mark.parametrize("file", MODELS_OF_OTHERS[::8], ids=lambda file: file.parent.name)
def test_a_model_of_others_is_read_right_and_refused(file: Path) -> None:
    found, expected = wire.read_message(file.read_bytes(), 100_000), onnx.load(file)
    assert found.integer(1) == expected.ir_version
    graph = found.message(7)
    assert graph is not None
    nodes = [(node.text(4), node.text(7), node.count(5)) for node in graph.messages(1)]
    assert nodes == [(n.op_type, n.domain, len(n.attribute)) for n in expected.graph.node]
    tensors = [(t.text(8), t.integers(1), t.integer(2), t.size(9)) for t in graph.messages(5)]
    assert tensors == [
        (t.name, list(t.dims), t.data_type, len(t.raw_data) if t.HasField("raw_data") else None)
        for t in expected.graph.initializer
    ]
    assert "holds no model card" in refusal(file, check_onnx_file)


def test_a_missing_file_a_folder_and_an_impossible_size_are_refused(path: Path) -> None:
    assert "does not exist" in refusal(path, check_onnx_file)
    assert "is a folder" in refusal(path.parent, check_onnx_file)
    path.write_bytes(b"\x08\x08")
    assert "cannot be read" in refusal(path / "below.onnx", check_onnx_file)
    with path.open("r+b") as file:
        file.truncate(2**31)
    assert "has 2.0 GiB" in refusal(path, check_onnx_file)


def test_a_file_that_onnx_runtime_would_read_as_its_own_format_is_refused(path: Path) -> None:
    changed(path, lambda m: setattr(m, "producer_name", "ORTM"))
    assert path.read_bytes()[4:8] == b"ORTM"
    assert "is not an ONNX file" in refusal(path, check_onnx_file)


def test_the_weights_are_not_read(path: Path) -> None:
    model = make_model()
    del model.graph.initializer[:]
    size = 2**30
    sides, kind = [size // 4], TensorProto.FLOAT
    tensor = TensorProto(name="w", dims=sides, data_type=kind).SerializeToString()
    head = tensor + wire.varint(9 << 3 | 2) + wire.varint(size)
    graph = (
        model.graph.SerializeToString() + wire.varint(5 << 3 | 2) + wire.varint(len(head) + size)
    )
    model.ClearField("graph")
    whole = model.SerializeToString() + wire.varint(7 << 3 | 2)
    whole += wire.varint(len(graph) + len(head) + size) + graph + head
    path.write_bytes(whole)
    with path.open("r+b") as file:
        file.truncate(len(whole) + size)  # of which nothing is on the disk
    tracemalloc.start()
    assert check_onnx_file(path) == CARD
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_card_is_found_by_the_content_where_the_suffix_says_nothing(path: Path) -> None:
    renamed = write(path, make_model()).rename(path.with_suffix(".bin"))
    assert read_card(renamed) == CARD
    capital = renamed.rename(path.with_suffix(".ONNX"))
    assert read_card(capital) == CARD
    header = json.dumps({"__metadata__": {CARD_KEY: CARD.to_json()}}).encode()
    header += b" " * (-len(header) % 256 + 8)  # so that the length begins as an ONNX file does
    renamed.write_bytes(len(header).to_bytes(8, "little") + header)
    assert renamed.read_bytes()[:1] == path.with_suffix(".ONNX").read_bytes()[:1]
    assert read_card(renamed) == CARD
