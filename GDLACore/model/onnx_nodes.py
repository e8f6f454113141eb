"""The operators of an exported network in their order, with the constants each one takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from GDLACore.model.onnx_file import check_onnx_file, opened_model
from GDLACore.model.protobuf import Message

# onnx.proto: ModelProto, GraphProto, NodeProto, TensorProto
_GRAPH = 7
_NODES, _INITIALIZERS = 1, 5
_NODE_INPUTS, _OPERATOR = 1, 4
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9

# onnx.proto: TensorProto.DataType
_TYPES = {1: "<f4", 7: "<i8", 10: "<f2"}


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """An operator, and those of its inputs that are constants, in their order."""

    operator: str
    constants: tuple[np.ndarray, ...]


def read_onnx_nodes(path: Path) -> list[OnnxNode]:
    """Return the nodes of the network in the ONNX file at ``path``.

    Raises ModelFileError as ``check_onnx_file`` does.
    """
    check_onnx_file(path)
    with opened_model(path) as model:
        graph = model.message(_GRAPH)
        arrays = {tensor.text(_NAME): _array(tensor) for tensor in graph.messages(_INITIALIZERS)}
        return [
            OnnxNode(
                node.text(_OPERATOR),
                tuple(arrays[name] for name in node.texts(_NODE_INPUTS) if name in arrays),
            )
            for node in graph.messages(_NODES)
        ]


def _array(tensor: Message) -> np.ndarray:
    values = np.frombuffer(tensor.content(_RAW), _TYPES[tensor.integer(_TYPE)])
    return values.reshape(tensor.integers(_DIMS))
