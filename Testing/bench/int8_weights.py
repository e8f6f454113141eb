"""An ONNX model with its large weights stored as 8-bit integers; the arithmetic stays float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LEAST = 1024  # numbers; what is smaller saves nothing

# The axis of the output channels, each of which gets a scale of its own.
_OUTPUT_AXIS = {"MatMul": -1, "Conv": 0, "ConvTranspose": 1}


def with_int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of ``model`` in which DequantizeLinear makes the weights, exact to 1/254.

    Only weights of matrix products and convolutions, second input of all nodes that use them.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {constant.name: constant for constant in graph.initializer}
    added = []
    for name, axis in list(_weights(graph)):
        constant = constants[name]
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < _LEAST:
            continue
        axis %= values.ndim
        others = tuple(a for a in range(values.ndim) if a != axis)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127
        integers = np.rint(values / scale).astype(np.int8)
        graph.initializer.remove(constant)
        graph.initializer.extend(
            [
                numpy_helper.from_array(integers, f"{name} int8"),
                numpy_helper.from_array(scale.astype(np.float32).ravel(), f"{name} scale"),
            ]
        )
        inputs = [f"{name} int8", f"{name} scale"]
        added.append(helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """Yield the constants that are weights throughout, each with its output axis."""
    uses: dict[str, set[int | None]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            axis = _OUTPUT_AXIS.get(node.op_type) if position == 1 else None
            uses.setdefault(name, set()).add(axis)
    for constant in graph.initializer:
        (axis, *more) = uses.get(constant.name, {None})
        if axis is not None and not more:
            yield constant.name, axis
