"""Half precision: near to single precision, with the sums over all tokens left in single."""

from __future__ import annotations

import numpy as np
import pytest
from exported import changed, image, logits, session, small_model
from onnx_files import TensorProto, onnx

from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import MIXERS

TOLERANCE = 0.02  # of logits up to 8 or so
LARGEST_HALF = 65504

# What adds over tokens or channels, or subtracts what is nearly equal.
SUMS = {"MatMul", "ReduceSum", "ReduceMean", "Softmax", "Sub", "Exp", "Sqrt", "Div", "Cos", "Sin"}


@pytest.mark.parametrize("mixer", MIXERS)
def test_half_precision_is_near_to_single(mixer: str) -> None:
    model, x = small_model(mixer), image(2, 1, 64, 96)
    np.testing.assert_allclose(logits(model, x, "fp16"), logits(model, x), rtol=0, atol=TOLERANCE)


def test_half_precision_stands_large_images_whose_sums_it_could_not_hold() -> None:
    model, x = small_model(), image(1, 1, 512, 512)
    half = logits(model, x, "fp16")
    assert np.isfinite(half).all()
    single, sums = with_sums_over_tokens(onnx_model(model), x)
    assert sums > LARGEST_HALF
    np.testing.assert_allclose(half, single, rtol=0, atol=TOLERANCE)


def with_sums_over_tokens(content: bytes, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the logits, and the largest number that a product in the decoder came to."""
    model = onnx.load_from_string(content)
    products = [node.output[0] for node in decoder_nodes(model) if node.op_type == "MatMul"]
    for name in products:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    results = session(model.SerializeToString()).run(["logits", *products], {"image": x})
    return results[0], max(float(np.abs(result).max()) for result in results[1:])


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_attentions_of_the_decoder_add_in_single_precision(mixer: str) -> None:
    model = onnx.load_from_string(onnx_model(small_model(mixer), "fp16"))
    types = value_types(model)
    sums = [node for node in decoder_nodes(model) if node.op_type in SUMS]
    assert len(sums) >= 9
    for node in sums:
        assert {types[name] for name in node.input[:2] if types[name] != TensorProto.INT64} == {
            TensorProto.FLOAT
        }, node.name


@pytest.mark.parametrize("mixer", MIXERS)
def test_all_convolutions_are_in_half_precision(mixer: str) -> None:
    model = onnx.load_from_string(onnx_model(small_model(mixer), "fp16"))
    types = value_types(model)
    convolutions = [n for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose")]
    assert len(convolutions) > 30
    for node in convolutions:
        assert {types[name] for name in node.input} == {TensorProto.FLOAT16}, node.name


def test_weights_too_large_for_half_precision_are_refused() -> None:
    model = changed(small_model(), "head.weight", 1e6)
    assert np.isfinite(logits(model, image(1, 1, 32, 32))).all()
    with pytest.raises(ModelFileError, match="too large for fp16") as caught:
        onnx_model(model, "fp16")
    assert str(model.path) in caught.value.message
    assert "fp32" in caught.value.hint


def decoder_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    nodes = list(model.graph.node)
    first = next(i for i, node in enumerate(nodes) if node.op_type == "ConvTranspose")
    return nodes[first:]


def value_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types
