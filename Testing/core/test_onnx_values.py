"""The input and the output of an ONNX file: an image in, logits for the classes of its card out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
    write,
)
from refusals import refusal

from GDLACore.model.onnx_file import check_onnx_file

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def changed(path: Path, change: Change) -> Path:
    model = make_model()
    change(model)
    return write(path, model)


def values(kind: str, *infos: onnx.ValueInfoProto) -> Change:
    def change(model: onnx.ModelProto) -> None:
        del getattr(model.graph, kind)[:]
        getattr(model.graph, kind).extend(infos)

    return change


def tensor_info(name: str, element: int, shape: list | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


COLOUR = replace(CARD, modality="RGB", in_channels=3)
FREE = ["n", 1, "h", "w"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (values("input"), "has 0 inputs, not one"),
        (values("input", image_value(), image_value(name="mask")), "has 2 inputs, not one"),
        (values("output", logits_value(), logits_value(name="more")), "has 2 outputs, not one"),
        (values("input", image_value(name="x")), "is called 'x', not image"),
        (values("input", image_value(3)), "by the card the input has 1 channels, by the network 3"),
        (
            lambda m: setattr(m.metadata_props[1], "value", COLOUR.to_json()),
            "by the card the input has 3 channels, by the network 1",
        ),
        (values("input", image_value("c")), "by the network any number"),
        (values("output", logits_value(9)), "the output has 4 channels, by the network 9"),
        (values("input", tensor_info("image", TensorProto.UINT8, FREE)), "not made of float32"),
        (values("input", tensor_info("image", TensorProto.FLOAT, FREE[:3])), "3 axes instead of 4"),
        (values("input", tensor_info("image", TensorProto.FLOAT, [])), "0 axes instead of 4"),
        (values("input", tensor_info("image", TensorProto.FLOAT, None)), "0 axes instead of 4"),
        (
            values("input", tensor_info("image", TensorProto.FLOAT, [1, 1, 224, "w"])),
            "is fixed to 1 x 1 x 224 x any",
        ),
        (
            values(
                "output",
                helper.make_tensor_sequence_value_info("logits", TensorProto.FLOAT, FREE),
            ),
            "not made of float32",
        ),
        (values("output", onnx.ValueInfoProto(name="logits")), "not made of float32"),
        (
            lambda m: m.graph.initializer.append(
                numpy_helper.from_array(np.zeros((1, 1, 8, 8), np.float32), "image")
            ),
            "gives its own image or logits a value",
        ),
    ],
)
def test_an_input_or_output_that_does_not_fit_the_card_is_refused(
    path: Path, change: Change, message: str
) -> None:
    assert message in refusal(changed(path, change), check_onnx_file)
