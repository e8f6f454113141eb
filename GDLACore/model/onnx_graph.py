"""The graph in an ONNX file: one image in, its logits out, and only known operators between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import printable
from GDLACore.model.onnx_operators import OPERATORS
from GDLACore.model.onnx_tensor import (
    EXPORT_AGAIN,
    FLOAT32,
    are_integers,
    check_tensor,
    is_vector,
)
from GDLACore.model.protobuf import Message

INPUT = "image"
OUTPUT = "logits"

# onnx.proto: GraphProto, NodeProto, AttributeProto, ValueInfoProto
_NODES, _INITIALIZERS, _INPUTS, _OUTPUTS, _SPARSE_INITIALIZERS = 1, 5, 11, 12, 15
_NODE_INPUTS, _OPERATOR, _ATTRIBUTES, _DOMAIN = 1, 4, 5, 7
_INTEGERS = 8
# What attributes of ours have, and notes: a name, a type, a number, an integer, a text, integers.
# Others hold graphs, tensors or types.
_ATTRIBUTE_FIELDS = {1, 20, 2, 3, 4, _INTEGERS, 13}
_VALUE_NAME, _VALUE_TYPE = 1, 2
# TypeProto, TypeProto.Tensor, TensorShapeProto, TensorShapeProto.Dimension
_TENSOR_TYPE, _TYPE_MEANING = 1, 6
_ELEMENT, _SHAPE, _SIDES, _LENGTH = 1, 2, 1, 1

# Lists of integers in attributes are axes, and the sides, steps and margins of kernels, up to 8.
_LARGEST_SIDE = 16
_MOST_INPUTS = 3
_ENLARGING = (1.0, 1.0, 4.0, 4.0)  # of the logits: images, channels, rows, columns

_UNSAFE = "Do not use this model, or ask its author why it needs this."

Constants = Mapping[str, Message]


def check_graph(graph: Message, card: ModelCard, path: Path) -> None:
    """Raise ModelFileError if ``graph`` is not one that a network fit for ``card`` could have.

    It takes one float32 image [n, in_channels, h, w] and gives one float32 [n, classes, h, w] with
    n, h and w left open, uses no operator outside OPERATORS and no graph within a node, computes
    nothing from constants alone, and every tensor in it has all its numbers there. Raises WireError
    where the bytes are no graph at all.
    """
    if graph.count(_SPARSE_INITIALIZERS):
        raise ModelFileError(
            f"{path} holds sparse weights, which no network of ours has.", EXPORT_AGAIN
        )
    constants = {check_tensor(tensor, path): tensor for tensor in graph.messages(_INITIALIZERS)}
    if len(constants) < graph.count(_INITIALIZERS):
        raise ModelFileError(f"{path} holds two tensors of one name.", EXPORT_AGAIN)
    if constants.keys() & {INPUT, OUTPUT}:  # its weights would be taken for the image
        raise ModelFileError(f"{path} gives its own {INPUT} or {OUTPUT} a value.", EXPORT_AGAIN)
    for node in graph.messages(_NODES):
        _check_node(node, constants, path)
    _check_value(graph, _INPUTS, "input", INPUT, card.in_channels, path)
    _check_value(graph, _OUTPUTS, "output", OUTPUT, card.classes, path)


def _check_node(node: Message, constants: Constants, path: Path) -> None:
    operator, domain = node.text(_OPERATOR), node.text(_DOMAIN)
    if domain or operator not in OPERATORS:
        full = f"{domain}.{operator}" if domain else operator
        raise ModelFileError(
            f"{path} uses the operator {printable(full)}, which no network of ours needs.", _UNSAFE
        )
    large = _is_enlarging(operator, node.texts(_NODE_INPUTS), constants)
    for attribute in node.messages(_ATTRIBUTES):
        if attribute.numbers() - _ATTRIBUTE_FIELDS:
            raise ModelFileError(
                f"{path} hides another graph, or data of an unknown kind, in an operator "
                f"({operator}).",
                _UNSAFE,
            )
        large |= any(abs(side) > _LARGEST_SIDE for side in attribute.integers(_INTEGERS))
    if large:
        raise ModelFileError(
            f"{path} could take any amount of memory: an operator in it ({operator}) makes more of "
            "what it is given than one of any network of ours.",
            _UNSAFE,
        )


def _is_enlarging(operator: str, inputs: list[str], constants: Constants) -> bool:
    """Return whether a node could make something of any size out of next to nothing.

    ONNX Runtime computes what follows from constants alone while it opens a file.
    """
    from_image = any(name and name not in constants for name in inputs)
    if len(inputs) > _MOST_INPUTS or not from_image:
        return True
    if operator == "Range":
        return not all(are_integers(constants[name]) for name in inputs if name in constants)
    if operator == "Resize":
        scales = constants.get(inputs[-1])
        return len(inputs) != 3 or scales is None or not is_vector(scales, _ENLARGING)
    return False


def _check_value(
    graph: Message, number: int, kind: str, name: str, channels: int, path: Path
) -> None:
    """Refuse other than one input, or output: ``name``, float32 [n, channels, h, w].

    ``number`` is the field of the graph it is in, ``kind`` what to call it.
    """
    if graph.count(number) != 1:
        raise ModelFileError(f"{path} has {graph.count(number)} {kind}s, not one.", EXPORT_AGAIN)
    value = next(graph.messages(number))
    if value.text(_VALUE_NAME) != name:
        raise ModelFileError(
            f"The {kind} of {path} is called {printable(value.text(_VALUE_NAME))}, not {name}.",
            EXPORT_AGAIN,
        )
    tensor = _tensor_type(value)
    if tensor is None or tensor.integer(_ELEMENT) != FLOAT32:
        raise ModelFileError(f"The {kind} of {path} is not made of float32 numbers.", EXPORT_AGAIN)
    sides = _sides(tensor)
    if len(sides) != 4:
        raise ModelFileError(
            f"The {kind} of {path} has {len(sides)} axes instead of 4: "
            "images, channels, rows and columns.",
            EXPORT_AGAIN,
        )
    if sides[1] != channels:
        raise ModelFileError(
            f"The card in {path} does not fit its network: by the card the {kind} has {channels} "
            f"channels, by the network {'any number' if sides[1] is None else sides[1]}.",
            EXPORT_AGAIN,
        )
    if sides != [None, channels, None, None]:
        shown = " x ".join("any" if side is None else str(side) for side in sides)
        raise ModelFileError(
            f"The {kind} of {path} is fixed to {shown}; images of every size must fit.",
            EXPORT_AGAIN,
        )


def _tensor_type(value: Message) -> Message | None:
    """Return the type of ``value`` if it is a tensor, and not a sequence or a map of them."""
    whole = value.message(_VALUE_TYPE)
    if whole is None or whole.numbers() - {_TYPE_MEANING} != {_TENSOR_TYPE}:
        return None
    return whole.message(_TENSOR_TYPE)


def _sides(tensor: Message) -> list[int | None]:
    """Return the declared lengths of a tensor's axes, None where one is left open."""
    shape = tensor.message(_SHAPE)
    return [] if shape is None else [side.integer(_LENGTH) for side in shape.messages(_SIDES)]
