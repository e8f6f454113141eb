"""What an ONNX file may compute with: what the exporter writes, and nothing that can swell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exported import image, logits, network_card, session, small_model
from phantom import make_card
from refusals import refusal

from GDLACore.export.graph import Graph
from GDLACore.export.model_file import PRECISIONS, onnx_model
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import ENCODERS, MIXERS, Architecture
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.model.onnx_operators import IR_VERSION, OPERATORS, OPSET
from GDLACore.model.protobuf import Message, read_message
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.shapes import weight_shapes

CARD = make_card()  # 1 channel, 4 classes


def written(model: ModelWeights, precision: str) -> Message:
    return read_message(onnx_model(model, precision), 100_000)


def operators(model: Message) -> set[str]:
    graph = model.message(7)
    assert graph is not None
    return {node.text(4) for node in graph.messages(1)}


def empty_model(encoder: str) -> ModelWeights:
    """Return a network with any encoder, whose weights, all ones, take no memory."""
    card = network_card(Architecture(encoder, "gdla"))
    shapes = weight_shapes(card.architecture, card.in_channels, card.classes)
    ones = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}
    return ModelWeights(card, ones, Path("ones"))


def test_exactly_what_the_exporter_writes_is_accepted() -> None:
    found = set()
    for precision in PRECISIONS:
        for mixer in MIXERS:
            for in_channels in (1, 3):
                model = written(small_model(mixer, in_channels), precision)
                found |= operators(model)
                assert model.integer(1) == IR_VERSION
                assert [(s.text(1), s.integer(2)) for s in model.messages(8)] == [("", OPSET)]
    assert found == OPERATORS


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_size_of_network_passes(tmp_path: Path, encoder: str, precision: str) -> None:
    model = empty_model(encoder)
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model(model, precision))
    assert check_onnx_file(path) == model.card


def with_mean(graph: Graph, x: str, value: str) -> str:
    """Return ``x`` [n, 1, h, w] four times, as logits, to which the mean of ``value`` is added."""
    twice = graph("Concat", x, x, axis=1)
    mean = graph("ReduceMean", graph("Cast", value, to=1), keepdims=0)
    return graph("Add", graph("Concat", twice, twice, axis=1), mean)


def write(path: Path, add: Callable[[Graph, str], str]) -> Path:
    graph = Graph("small")
    x = graph.input("image", ["n", 1, "h", "w"])
    graph.output(with_mean(graph, x, add(graph, x)), "logits", ["n", 4, "h", "w"])
    path.write_bytes(graph.to_bytes({CARD_KEY: CARD.to_json()}))
    return path


def columns(graph: Graph, x: str) -> str:
    """Return how many columns ``x`` has."""
    return graph("Squeeze", graph("Shape", x, start=3, end=4))


def floats(graph: Graph, *numbers: float) -> str:
    return graph.constant(np.array(numbers, np.float32))


SOUND = {
    "range": lambda g, x: g(
        "Range", g.constant(np.int64(0)), columns(g, x), g.constant(np.int64(1))
    ),
    "resize": lambda g, x: g("Resize", x, "", floats(g, 1, 1, 4, 4), mode="linear"),
    "kernel": lambda g, x: g(
        "Conv",
        x,
        g.constant(np.ones((1, 1, 8, 8), np.float32)),
        kernel_shape=[8, 8],
        strides=[8, 8],
    ),
}
LARGE = {
    "range between constants": lambda g, x: g(
        "Range", *(g.constant(np.int64(n)) for n in (0, 9, 1))
    ),
    "range to a fraction": lambda g, x: g(
        "Range", floats(g, 0), g("Cast", columns(g, x), to=1), floats(g, 1e-9)
    ),
    "resize by much": lambda g, x: g("Resize", x, "", floats(g, 1, 1, 3e4, 3e4)),
    "resize by a half precision number": lambda g, x: g(
        "Resize", x, "", g.constant(np.ones(4, np.float16))
    ),
    "resize by what is computed": lambda g, x: g("Resize", x, "", g("Cast", g("Shape", x), to=1)),
    "resize to a size": lambda g, x: g("Resize", x, "", "", g.constant([1, 1, 4096, 4096])),
    "resize to nothing": lambda g, x: g("Resize", x),
    "product of constants": lambda g, x: g(
        "MatMul", g.constant(np.ones((9, 1), np.float32)), g.constant(np.ones((1, 9), np.float32))
    ),
    "nothing at all": lambda g, x: g("Range"),
    "only omitted": lambda g, x: g("Range", "", ""),
    "many copies": lambda g, x: g("Concat", *[x] * 4, axis=1),
    "padding": lambda g, x: g(
        "Conv", x, floats(g, 1), kernel_shape=[1, 1], pads=[0, 0, 50_000, 50_000]
    ),
    "steps": lambda g, x: g("ConvTranspose", x, floats(g, 1), kernel_shape=[1, 1], strides=[17, 1]),
    "less than nothing": lambda g, x: g(
        "Conv", x, floats(g, 1), kernel_shape=[1, 1], pads=[-(2**63)] * 4
    ),
}


@pytest.mark.parametrize("add", SOUND.values(), ids=SOUND)
def test_what_stays_small_passes_and_runs(tmp_path: Path, add: Callable) -> None:
    path = write(tmp_path / "model.onnx", add)
    assert check_onnx_file(path) == CARD
    assert logits(session(path.read_bytes()), image(1, 1, 32, 64)).shape == (1, 4, 32, 64)


@pytest.mark.parametrize("add", LARGE.values(), ids=LARGE)
def test_what_could_swell_is_refused(tmp_path: Path, add: Callable) -> None:
    message = refusal(write(tmp_path / "model.onnx", add), check_onnx_file)
    assert "could take any amount of memory: an operator in it (" in message


@pytest.mark.parametrize("numbers", [[1, 1, 2**29], [1, -(2**40)], [-(2**63)], [1] * 17])
def test_integers_that_no_network_needs_are_refused(tmp_path: Path, numbers: list[int]) -> None:
    path = write(tmp_path / "model.onnx", lambda g, x: g("Reshape", x, g.constant(numbers)))
    assert "has more or larger integers than any" in refusal(path, check_onnx_file)


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", lambda g, x: g("Add", floats(g, 1, 2), floats(g, 3, 4)))
    path.write_bytes(path.read_bytes().replace(b"\x42\x02c1", b"\x42\x02c0"))
    assert "holds two tensors of one name" in refusal(path, check_onnx_file)
