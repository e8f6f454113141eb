"""The graph in an ONNX file: one image in, its logits out, and only known operators between."""

from __future__ import annotations

from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.onnx_operators import OPERATORS
from GDLACore.model.onnx_tensor import EXPORT_AGAIN, FLOAT32, check_tensor, printable
from GDLACore.model.protobuf import Message

INPUT = "image"
OUTPUT = "logits"

# onnx.proto: GraphProto, NodeProto, AttributeProto, ValueInfoProto
_NODES, _INITIALIZERS, _INPUTS, _OUTPUTS, _SPARSE_INITIALIZERS = 1, 5, 11, 12, 15
_NODE_NAME, _OPERATOR, _ATTRIBUTES, _DOMAIN = 3, 4, 5, 7
_TENSOR, _TENSORS = 5, 10
# A graph, graphs, a sparse tensor, sparse tensors, a type, types, the argument of a function.
_UNUSED_ATTRIBUTES = {6, 11, 22, 23, 14, 15, 21}
_VALUE_NAME, _VALUE_TYPE = 1, 2
# TypeProto, TypeProto.Tensor, TensorShapeProto, TensorShapeProto.Dimension
_TENSOR_TYPE, _TYPE_MEANING = 1, 6
_ELEMENT, _SHAPE, _SIDES, _LENGTH = 1, 2, 1, 1

_UNSAFE = "Do not use this model, or ask its author why it needs this."


def check_graph(graph: Message, card: ModelCard, path: Path) -> None:
    """Raise ModelFileError if ``graph`` is not one that a network fit for ``card`` could have.

    It takes one float32 image [n, in_channels, h, w] and gives one float32 [n, classes, h, w] with
    n, h and w left open, uses no operator outside OPERATORS and no graph within a node, and every
    tensor in it has all its numbers there. Raises WireError where the bytes are no graph at all.
    """
    if graph.count(_SPARSE_INITIALIZERS):
        raise ModelFileError(
            f"{path} holds sparse weights, which no network of ours has.", EXPORT_AGAIN
        )
    for node in graph.messages(_NODES):
        _check_node(node, path)
    names = {check_tensor(tensor, path) for tensor in graph.messages(_INITIALIZERS)}
    _check_value(graph, _INPUTS, "input", INPUT, card.in_channels, path)
    _check_value(graph, _OUTPUTS, "output", OUTPUT, card.classes, path)
    if names & {INPUT, OUTPUT}:  # its weights would be taken for the image
        raise ModelFileError(f"{path} gives its own {INPUT} or {OUTPUT} a value.", EXPORT_AGAIN)


def _check_node(node: Message, path: Path) -> None:
    operator, domain = node.text(_OPERATOR), node.text(_DOMAIN)
    if operator not in OPERATORS.get(domain, ()):
        full = f"{domain}.{operator}" if domain else operator
        raise ModelFileError(
            f"{path} uses the operator {printable(full)}, which no network of ours needs.", _UNSAFE
        )
    name = node.text(_NODE_NAME) or operator
    for attribute in node.messages(_ATTRIBUTES):
        if attribute.numbers() & _UNUSED_ATTRIBUTES:
            raise ModelFileError(
                f"{path} hides another graph, or data of an unknown kind, in an operator "
                f"({printable(operator)}).",
                _UNSAFE,
            )
        if (tensor := attribute.message(_TENSOR)) is not None:
            check_tensor(tensor, path, name)
        for tensor in attribute.messages(_TENSORS):
            check_tensor(tensor, path, name)


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
