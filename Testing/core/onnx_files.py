"""Small ONNX files written by the ``onnx`` package, which our own writing has no part in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from phantom import make_card

from GDLACore.model.onnx_file import CARD_KEY
from GDLACore.model.onnx_operators import IR_VERSION, OPSET

onnx = pytest.importorskip("onnx")
DecodeError = pytest.importorskip("google.protobuf.message").DecodeError
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto

CARD = make_card()  # 1 channel, 4 classes


def image_value(channels: object = 1, name: str = "image") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])


def logits_value(classes: object = 4, name: str = "logits") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", classes, "h", "w"])


def make_model(operators: int = OPSET, ir_version: int = IR_VERSION) -> onnx.ModelProto:
    """Return a network that blurs an image into four channels and multiplies one of them."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(size=4).astype(np.float32),
        "factor": np.array([1, 1, 1, 2], np.float32).reshape(4, 1, 1),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "Conv",
                ["image", "conv.weight", "conv.bias"],
                ["blurred"],
                name="conv",
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("Mul", ["blurred", "factor"], ["logits"], name="mul"),
        ],
        "network",
        [image_value()],
        [logits_value()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph,
        ir_version=ir_version,
        opset_imports=[helper.make_opsetid("", operators)],
        producer_name="tests",
    )
    helper.set_model_props(model, {"other": "words", CARD_KEY: CARD.to_json()})
    return model


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def run(path: Path) -> np.ndarray:
    """Return what ONNX Runtime makes of two images of 32 x 64; it raises what it raises."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    image = np.random.default_rng(1).normal(size=(2, 1, 32, 64)).astype(np.float32)
    return session.run(["logits"], {"image": image})[0]
