"""How values of each type are kept in a parameter node: as texts, under names of Slicer's.

The names and texts are those of Slicer, so that scenes saved by it are read here and the other way.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from typing import Any

import slicer
import slicer.util

from slicer_python.parameter_node.annotations import split
from slicer_python.parameter_node.ranges import FloatRange
from slicer_python.parameter_node.validators import IsInstance, IsNone, NotNone, Validator
from slicer_python.parameter_node.validators import split as split_validators

Node = slicer.vtkMRMLScriptedModuleNode
_NOT_HERE = (list, tuple, dict, typing.Any)


class Serializer:
    """One parameter of a simple type, kept as one text."""

    def __init__(self, kind: Any, validators: list[Validator]) -> None:
        self.kind, self.validators = kind, validators

    def validate(self, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)

    def default(self) -> Any:
        return self.kind()

    def is_in(self, node: Node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node: Node, name: str, value: Any) -> None:
        self.validate(value)
        node.SetParameter(name, self.text(value))

    def text(self, value: Any) -> str:
        return str(value)

    def read(self, node: Node, name: str) -> Any:
        return self.kind(node.GetParameter(name))

    def remove(self, node: Node, name: str) -> None:
        node.UnsetParameter(name)


class BoolSerializer(Serializer):
    def text(self, value: bool) -> str:
        return "True" if value else "False"

    def read(self, node: Node, name: str) -> bool:
        return node.GetParameter(name) == "True"


class EnumSerializer(Serializer):
    def default(self) -> enum.Enum:
        return next(iter(self.kind))

    def text(self, value: enum.Enum) -> str:
        return value.name

    def read(self, node: Node, name: str) -> enum.Enum:
        key = node.GetParameter(name)
        if key not in self.kind.__members__:
            raise ValueError(f"Found {key!r} in parameter node but it is not in {self.kind!r}")
        return self.kind[key]


class NodeSerializer(Serializer):
    """A reference to a node; an empty parameter tells that it was set, perhaps to None."""

    def default(self) -> None:
        return None

    def write(self, node: Node, name: str, value: slicer.vtkMRMLNode | None) -> None:
        self.validate(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node: Node, name: str) -> slicer.vtkMRMLNode | None:
        return node.GetNodeReference(name)

    def remove(self, node: Node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneSerializer(Serializer):
    def text(self, value: None) -> str:
        return "True"

    def read(self, node: Node, name: str) -> None:
        return None


class RangeSerializer(Serializer):
    def write(self, node: Node, name: str, value: FloatRange) -> None:
        self.validate(value)
        with slicer.util.NodeModify(node):
            node.SetParameter(f"{name}._minimum", str(value.minimum))
            node.SetParameter(f"{name}._maximum", str(value.maximum))

    def is_in(self, node: Node, name: str) -> bool:
        return bool(node.HasParameter(f"{name}._minimum"))

    def read(self, node: Node, name: str) -> FloatRange:
        ends = (float(node.GetParameter(f"{name}.{end}")) for end in ("_minimum", "_maximum"))
        return FloatRange(*ends).observed(lambda changed: self.write(node, name, changed))

    def remove(self, node: Node, name: str) -> None:
        node.UnsetParameter(f"{name}._minimum")
        node.UnsetParameter(f"{name}._maximum")


class UnionSerializer(Serializer):
    """One of several types, kept under a name that ends in the number of the type."""

    def __init__(self, members: list[Serializer], validators: list[Validator]) -> None:
        super().__init__(None, validators)
        self.members = members

    def default(self) -> Any:
        optional = len(self.members) == 2 and isinstance(self.members[1], NoneSerializer)
        return None if optional else self.members[0].default()

    def is_in(self, node: Node, name: str) -> bool:
        return any(member.is_in(node, f"{name}.{i}") for i, member in enumerate(self.members))

    def write(self, node: Node, name: str, value: Any) -> None:
        self.validate(value)
        index = self._fitting(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            self.members[index].write(node, f"{name}.{index}", value)

    def _fitting(self, value: Any) -> int:
        refusal: Exception = TypeError(f"Unable to write {value!r} of type {type(value)}")
        for index, member in enumerate(self.members):
            if _family(member) == _family(_unchecked(type(value))):
                try:
                    member.validate(value)
                    return index
                except (TypeError, ValueError) as error:
                    refusal = error
        raise refusal

    def read(self, node: Node, name: str) -> Any:
        for index, member in enumerate(self.members):
            if member.is_in(node, f"{name}.{index}"):
                return member.read(node, f"{name}.{index}")
        raise KeyError(f"Unable to find value for name: {name}")

    def remove(self, node: Node, name: str) -> None:
        with slicer.util.NodeModify(node):
            for index, member in enumerate(self.members):
                member.remove(node, f"{name}.{index}")


def _unchecked(kind: type) -> Serializer | None:
    cls = _class_for(kind)
    return cls and cls(kind, [])


def _family(serializer: Serializer | None) -> tuple | None:
    """Return what tells which values a serializer may be for: its class, or kinds of one class."""
    if type(serializer) is not Serializer:
        return serializer and (type(serializer),)
    numbers = (int, float)
    return numbers if serializer.kind in numbers else (str if serializer.kind is str else None,)


def _class_for(kind: Any) -> type[Serializer] | None:
    """Return the class for a type as it is, without annotations; None if there is none."""
    if kind in (int, float, str) or (isinstance(kind, type) and issubclass(kind, pathlib.PurePath)):
        return Serializer
    if kind is bool:
        return BoolSerializer
    if kind is type(None):
        return NoneSerializer
    if kind is FloatRange:
        return RangeSerializer
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return NodeSerializer
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumSerializer
    return None


def serializer_for(annotated: Any) -> tuple[Serializer, tuple]:
    """Return the serializer for a member's type, and the annotations that it does not use.

    TypeError if Slicer has none; NotImplementedError if Slicer has one that this has not.
    """
    kind, annotations = split(annotated)
    validators, unused = split_validators(annotations)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [serializer_for(member)[0] for member in typing.get_args(kind)]
        return UnionSerializer(members, validators), unused
    if kind in _NOT_HERE or typing.get_origin(kind) in _NOT_HERE:
        raise NotImplementedError(f"Slicer keeps a {kind} in a parameter node, this does not")
    cls = _class_for(kind)
    if cls is None:
        raise TypeError(f"Unable to create serializer for type: {kind}")
    if cls is EnumSerializer and not len(kind):
        raise ValueError("Cannot serialize empty Enum.")
    return cls(kind, _refusing(kind, cls) + validators), unused


def _refusing(kind: Any, cls: type[Serializer]) -> list[Validator]:
    """Return what Slicer demands of every value of this type."""
    if cls is NoneSerializer:
        return [IsNone()]
    instance = IsInstance((int, float) if kind is float else kind)
    return [instance] if cls in (NodeSerializer, EnumSerializer) else [NotNone(), instance]
