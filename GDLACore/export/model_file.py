"""A model as one self-contained ONNX file: graph, weights and card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from GDLACore.atomic import replacing
from GDLACore.errors import ModelFileError
from GDLACore.export.decoder import BLOCKS
from GDLACore.export.graph import Graph
from GDLACore.export.network import network
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.onnx_graph import INPUT, OUTPUT
from GDLACore.weights.loading import ModelWeights

_NUMBERS = {"fp32": "float32", "fp16": "float16"}

PRECISIONS = tuple(_NUMBERS)


def onnx_model(model: ModelWeights, precision: str = "fp32") -> bytes:
    """Return ``model`` as the bytes of an ONNX file, the same for the same weights and card.

    Its input ``image`` is float32 [n, in_channels, h, w], h and w any multiples of 32; its output
    ``logits`` is float32 [n, classes, h, w]. ``precision`` is one of ``PRECISIONS``; "fp16" halves
    the file and computes in half precision all but LayerNorm's statistics, the attention's sums,
    their difference and its RMSNorm.

    Raises ModelFileError if a weight is too large for ``precision``, or for the ablations of GDLA.
    """
    card = model.card
    graph = model_graph(model, precision)
    image = graph.input(INPUT, ["n", card.in_channels, "h", "w"])
    logits = add_network(graph, image, model)
    graph.output(logits, OUTPUT, ["n", card.classes, "h", "w"])
    return graph.to_bytes({CARD_KEY: card.to_json()})


def model_graph(model: ModelWeights, precision: str = "fp32") -> Graph:
    """Return an empty graph for ``model`` that computes in ``precision``."""
    return Graph(model.card.name, _NUMBERS[precision])


def add_network(graph: Graph, image: str, model: ModelWeights) -> str:
    """Add the network of ``model``; return its logits [n, classes, h, w] of ``image``.

    ``image`` and logits are float32. Raises ModelFileError as ``onnx_model`` does.
    """
    mixer = model.card.architecture.mixer
    if mixer not in BLOCKS:
        raise ModelFileError(
            f"{model.path} has the mixer {mixer}, which only PyTorch can run.",
            "Choose the runtime torch, or a model with another mixer.",
        )
    try:
        with np.errstate(over="raise"):
            return network(graph, image, model.tensors, model.card)
    except FloatingPointError as error:
        precision = next(name for name, number in _NUMBERS.items() if number == graph.number)
        raise ModelFileError(
            f"{model.path} has weights that are too large for {precision}.",
            "Choose fp32, or another checkpoint.",
        ) from error


def write_onnx_model(path: Path, model: ModelWeights, precision: str = "fp32") -> Path:
    """Write ``onnx_model`` to ``path``, whole or not at all; return ``path``.

    Raises ModelFileError as ``onnx_model`` does, OutputError if the file cannot be written.
    """
    content = onnx_model(model, precision)
    with replacing(path) as part:
        part.write_bytes(content)
    return path
