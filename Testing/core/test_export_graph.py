"""The exported graph: sound ONNX by the rules of the ``onnx`` package, and nothing superfluous."""

from __future__ import annotations

import pytest
from exported import small_model
from onnx_files import onnx

from GDLACore.export.model_file import PRECISIONS, onnx_model
from GDLACore.model.card import MIXERS

each_kind = pytest.mark.parametrize(
    ("mixer", "precision"), [(mixer, precision) for mixer in MIXERS for precision in PRECISIONS]
)


@each_kind
def test_the_graph_is_sound_onnx_of_standard_operators(mixer: str, precision: str) -> None:
    model = onnx.load_from_string(onnx_model(small_model(mixer), precision))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert {node.domain for node in model.graph.node} == {""}


@each_kind
def test_the_shapes_of_all_values_follow_from_the_input(mixer: str, precision: str) -> None:
    model = onnx.load_from_string(onnx_model(small_model(mixer), precision))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    known = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    made = {name for node in model.graph.node for name in node.output}
    assert made - known.keys() == {"logits"}
    assert all(value.HasField("shape") for value in known.values())


@each_kind
def test_nothing_in_the_graph_is_without_use(mixer: str, precision: str) -> None:
    graph = onnx.load_from_string(onnx_model(small_model(mixer), precision)).graph
    used = {name for node in graph.node for name in node.input} | {"logits"}
    made = [name for node in graph.node for name in node.output]
    stored = [tensor.name for tensor in graph.initializer]
    assert set(made) | set(stored) | {"image"} == used - {""}
    assert len(set(made + stored)) == len(made + stored)
