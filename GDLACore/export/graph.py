"""A small writer of ONNX graphs: nodes and constants in, the bytes of a file out.

The ``onnx`` package is no part of what is installed inside 3D Slicer, so the messages of onnx.proto
are written field by field. The same calls always give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from GDLACore.model.onnx_file import CARD_KEY, HASH_KEY
from GDLACore.model.onnx_operators import IR_VERSION, OPSET
from GDLACore.model.protobuf import bytes_field, float_field, text_field, varint, varint_field

Attribute = int | float | str | Sequence[int]

# onnx.proto: TensorProto.DataType
_TYPES = {"float32": 1, "uint8": 2, "uint16": 4, "int16": 5, "int64": 7, "float16": 10}

# onnx.proto: AttributeProto.AttributeType
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7

# onnx.proto: the fields of GraphProto and ModelProto that are used here
_NODE, _GRAPH_NAME, _INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_IR_VERSION, _PRODUCER, _GRAPH, _OPSET_IMPORT, _METADATA = 1, 2, 7, 8, 14


class Graph:
    """An ONNX graph in the making. Values are known by their names, which are strings.

    ``number`` is the type, "float32" or "float16", in which the graph's ``weight``s are stored and
    most of it is computed.
    """

    def __init__(self, name: str, number: str = "float32") -> None:
        self.number = number
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: dict[bytes, tuple[str, bytes, np.ndarray]] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, shape: Sequence[int | str], number: str = "float32") -> str:
        """Declare an input of type ``number``; return it. A side of free length has a name."""
        self._inputs.append(_value_info(name, shape, number))
        return name

    def output(
        self, value: str, name: str, shape: Sequence[int | str], number: str = "float32"
    ) -> None:
        """Make ``value``, of type ``number``, an output of the graph, under ``name``."""
        self._nodes.append(_node("Identity", [value], [name], {}))
        self._outputs.append(_value_info(name, shape, number))

    def weight(self, array: np.ndarray) -> str:
        """Return a constant in the graph's own type of number."""
        return self.constant(np.asarray(array, self.number))

    def constant(self, array: np.ndarray | np.generic | Sequence[int]) -> str:
        """Return a constant of the array's type; a list is one of int64. Equal ones are shared."""
        array = np.asarray(array, None if isinstance(array, (np.ndarray, np.generic)) else np.int64)
        # Not ascontiguousarray, which gives a single number an axis.
        array = np.require(array, requirements="C")
        head = b"".join(varint_field(1, side) for side in array.shape)
        head += varint_field(2, _TYPES[array.dtype.name])
        key = head + hashlib.sha256(array.reshape(-1)).digest()
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = name, head + text_field(8, name), array
        return self._constants[key][0]

    def __call__(
        self, operator: str, *inputs: str, outputs: int = 1, **attributes: Attribute
    ) -> str | list[str]:
        """Add a node; return its output, or the list of them where there are several."""
        names = [f"v{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(_node(operator, inputs, names, attributes))
        return names[0] if outputs == 1 else names

    def cast(self, value: str, number: str) -> str:
        """Return ``value`` as the type ``number``, such as "uint8"."""
        return self("Cast", value, to=_TYPES[number])

    def single(self, value: str) -> str:
        """Return ``value``, of the graph's own type, in single precision."""
        return value if self.number == "float32" else self.cast(value, "float32")

    def own(self, value: str) -> str:
        """Return ``value``, in single precision, in the graph's own type."""
        return value if self.number == "float32" else self.cast(value, self.number)

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Return the file: a ModelProto with the graph, ``metadata`` and the hash of both.

        Of the metadata only the card is part of the hash, as HASH_KEY says.
        """
        graph: list[bytes | memoryview] = [bytes_field(_NODE, node) for node in self._nodes]
        graph.append(text_field(_GRAPH_NAME, self._name))
        for _, head, array in self._constants.values():
            raw_head = _head(9, array.nbytes)
            graph.append(_head(_INITIALIZER, len(head) + len(raw_head) + array.nbytes))
            graph += [head, raw_head, memoryview(array.reshape(-1)).cast("B")]
        graph += [bytes_field(_GRAPH_INPUT, value) for value in self._inputs]
        graph += [bytes_field(_GRAPH_OUTPUT, value) for value in self._outputs]
        digest = hashlib.sha256()
        for part in graph:
            digest.update(part)
        digest.update(metadata.get(CARD_KEY, "").encode("utf-8"))
        # Joined once: the weights are the whole size of a file and must not be copied thrice.
        return b"".join(
            [
                varint_field(_IR_VERSION, IR_VERSION),
                text_field(_PRODUCER, "GDLACore"),
                _head(_GRAPH, sum(map(len, graph))),
                *graph,
                bytes_field(_OPSET_IMPORT, varint_field(2, OPSET)),
                *(
                    bytes_field(_METADATA, text_field(1, key) + text_field(2, value))
                    for key, value in {**metadata, HASH_KEY: digest.hexdigest()}.items()
                ),
            ]
        )


def _head(number: int, length: int) -> bytes:
    """Return what precedes ``length`` bytes of the field ``number``."""
    return varint(number << 3 | 2) + varint(length)


def _node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Mapping[str, Attribute],
) -> bytes:
    parts = [text_field(1, name) for name in inputs]
    parts += [text_field(2, name) for name in outputs]
    parts += [text_field(3, outputs[0]), text_field(4, operator)]
    parts += [bytes_field(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    head = text_field(1, name)
    if isinstance(value, float):
        return head + float_field(2, value) + varint_field(20, _FLOAT)
    if isinstance(value, int):
        return head + varint_field(3, value) + varint_field(20, _INT)
    if isinstance(value, str):
        return head + text_field(4, value) + varint_field(20, _STRING)
    return head + b"".join(varint_field(8, v) for v in value) + varint_field(20, _INTS)


def _value_info(name: str, shape: Sequence[int | str], number: str) -> bytes:
    dims = b"".join(
        bytes_field(1, varint_field(1, side) if isinstance(side, int) else text_field(2, side))
        for side in shape
    )
    tensor = varint_field(1, _TYPES[number]) + bytes_field(2, dims)
    return text_field(1, name) + bytes_field(2, bytes_field(1, tensor))
