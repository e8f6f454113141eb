"""A model's whole service as one ONNX graph, for servers that run ONNX Runtime on their own.

It takes and gives what ``GDLACore.serving.contract`` says: the network, and around it what a server
would otherwise need our program for.
"""

from __future__ import annotations

import numpy as np

from GDLACore.export.graph import Graph
from GDLACore.export.model_file import add_network, model_graph
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract
from GDLACore.weights.loading import ModelWeights

# How ONNX calls the grids of the two protocols; see GDLACore.imaging.slice_resampling.
_GRIDS = {"spline3": "align_corners", "antialias": "half_pixel"}

_HIGHEST_AND_SECOND = 2


def served_graph(model: ModelWeights, precision: str = "fp32") -> bytes:
    """Return the ONNX file of ``model`` as it is served, the same for the same weights and card.

    ``precision`` is one of ``GDLACore.export.model_file.PRECISIONS``. Raises ModelFileError as
    ``onnx_model`` there does.
    """
    card, graph = model.card, model_graph(model, precision)
    image, scaling, rows, columns = (
        graph.input(kind.name, _sides(kind), kind.numpy_type.__name__)
        for kind in contract.inputs(card)
    )
    logits = add_network(graph, _dequantised(graph, image, scaling), model)
    results = (
        _labels(graph, logits, rows, columns, card),
        graph.cast(_margin(graph, logits), "float16"),
        logits,
        _finite(graph, logits),
        _weights(graph, logits, card),
    )
    for kind, value in zip(contract.outputs(card), results, strict=True):
        graph.output(value, kind.name, _sides(kind), kind.numpy_type.__name__)
    return graph.to_bytes(contract.parameters(card))


def _sides(kind: contract.TensorKind) -> list[int | str]:
    """Return the shape with a name for every length that is free."""
    free = {
        contract.ROWS: ("n", "h"),
        contract.COLUMNS: ("n", "w"),
        contract.LABELS: ("n", "h", "w"),
    }.get(kind.name, ("n",))
    return [*free, *kind.shape[len(free) :]]


def _dequantised(graph: Graph, image: str, scaling: str) -> str:
    step, offset = (
        graph("Unsqueeze", part, graph.constant([2, 3]))
        for part in graph("Split", scaling, graph.constant([1, 1]), axis=1, outputs=2)
    )
    return graph("Add", graph("Mul", graph.cast(image, "float32"), step), offset)


def _labels(graph: Graph, logits: str, rows: str, columns: str, card: ModelCard) -> str:
    sides = [graph("Shape", one, start=1, end=2) for one in (rows, columns)]
    # A graph cannot refuse. Labels of 1 x 1 pixel nobody takes for those that he asked for.
    fits = graph("LessOrEqual", graph("Mul", *sides), graph.constant([contract.most_pixels(card)]))
    shape = graph("Where", fits, graph("Concat", *sides, axis=0), graph.constant([1, 1]))
    size = graph("Concat", graph("Shape", logits, start=0, end=2), shape, axis=0)
    enlarged = graph(
        "Resize",
        logits,
        "",
        "",
        size,
        mode="linear",
        coordinate_transformation_mode=_GRIDS[card.resampling],
    )
    labels = graph("ArgMax", enlarged, axis=1, keepdims=0)
    return graph.cast(labels, _labels_type(card))


def _labels_type(card: ModelCard) -> str:
    return next(k.numpy_type.__name__ for k in contract.outputs(card) if k.name == contract.LABELS)


def _margin(graph: Graph, logits: str) -> str:
    """Return p1 - p2 of the two most probable classes; see GDLACore.engine.confidence.margin."""
    two = graph.constant([_HIGHEST_AND_SECOND])
    highest_two, _ = graph("TopK", logits, two, axis=1, outputs=2)
    highest, second = graph("Split", highest_two, graph.constant([1, 1]), axis=1, outputs=2)
    total = graph(
        "ReduceSum",
        graph("Exp", graph("Sub", logits, highest)),
        graph.constant([1]),
        keepdims=1,
    )
    surplus = graph(
        "Sub", graph.constant(np.float32(1)), graph("Exp", graph("Sub", second, highest))
    )
    return graph("Squeeze", graph("Div", surplus, total), graph.constant([1]))


def _finite(graph: Graph, logits: str) -> str:
    """Return [n, 1]: whether all logits of a slice are finite."""
    # What is not finite leaves NaN, which is equal to nothing, and all else nothing.
    left = graph("ReduceSum", graph("Sub", logits, logits), graph.constant([2, 3]), keepdims=0)
    left = graph("ReduceSum", left, graph.constant([1]), keepdims=1)
    return graph.cast(graph("Equal", left, graph.constant(np.float32(0))), "uint8")


def _weights(graph: Graph, logits: str, card: ModelCard) -> str:
    """Return [n, 32]: which network answers, for every slice."""
    mark = contract.weights_mark(card)
    count = graph("Shape", logits, start=0, end=1)
    shape = graph("Concat", count, graph.constant([len(mark)]), axis=0)
    return graph("Expand", graph.constant(mark[None]), shape)
