"""An ONNX model whose large matrix products are done in 8-bit integers, scaled anew each time."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

_LEAST_OUTPUTS = 17  # the head's few classes are not worth it


def with_int8_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of ``model`` in which products with constant matrices are integer ones.

    ONNX Runtime has fast dynamic quantisation for matrix products only, so 1 x 1 convolutions, in
    which most of the arithmetic is, become such products first.
    """
    products = onnx.ModelProto()
    products.CopyFrom(model)
    _convolutions_to_products(products.graph)
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "products.onnx", Path(folder) / "int8.onnx"
        onnx.save(products, source)
        logging.getLogger().setLevel(logging.ERROR)  # it advises a preparation that changes nothing
        quantize_dynamic(
            source, result, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8
        )
        return onnx.load(result)


def _convolutions_to_products(graph: onnx.GraphProto) -> None:
    constants = {constant.name: constant for constant in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        kernel = constants.get(node.input[1]) if node.op_type == "Conv" else None
        if kernel is None or not _is_large_product(list(kernel.dims), node):
            nodes.append(node)
            continue
        name = node.output[0]
        matrix = numpy_helper.to_array(kernel)[:, :, 0, 0].T
        graph.initializer.append(
            numpy_helper.from_array(np.ascontiguousarray(matrix), f"{name} matrix")
        )
        last, product, biased = f"{name} last", f"{name} product", f"{name} biased"
        nodes += [
            helper.make_node("Transpose", [node.input[0]], [last], perm=[0, 2, 3, 1]),
            helper.make_node("MatMul", [last, f"{name} matrix"], [product]),
        ]
        if len(node.input) > 2:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [biased]))
        else:
            biased = product
        nodes.append(helper.make_node("Transpose", [biased], [name], perm=[0, 3, 1, 2]))
    del graph.node[:]
    graph.node.extend(nodes)


def _is_large_product(dims: list[int], node: NodeProto) -> bool:
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return dims[2:] == [1, 1] and groups == 1 and dims[0] >= _LEAST_OUTPUTS
