"""Which widget shows which type of parameter, and how: what Slicer connects, and nothing else."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from slicer_python.parameter_node.annotations import Decimals, Default, SingleStep, first, split
from slicer_python.parameter_node.ranges import FloatRange
from slicer_python.parameter_node.validators import (
    Choice,
    Maximum,
    Minimum,
    RangeBounds,
    WithinRange,
)


class Connector:
    """A widget whose property ``prop`` is the value and whose ``signal`` tells of its changes."""

    prop = signal = ""

    def __init__(self, widget: Any, annotated: Any) -> None:
        self.widget = widget
        self.kind, self.annotations = split(annotated)
        self._receive: Callable[[], None] | None = None
        self.prepare()

    def prepare(self) -> None:
        """Set the widget up for the type: its limits, its items."""

    def start(self, receive: Callable[[], None]) -> None:
        self._receive = receive
        if self.signal:
            getattr(self.widget, self.signal).connect(self._changed)

    def stop(self) -> None:
        self._receive = None
        if self.signal:
            getattr(self.widget, self.signal).disconnect(self._changed)

    def _changed(self) -> None:
        if self._receive:
            self._receive()

    def read(self) -> Any:
        return getattr(self.widget, self.prop)

    def write(self, value: Any) -> None:
        setattr(self.widget, self.prop, value)


class CheckBox(Connector):
    prop, signal = "checked", "stateChanged"


class CheckableButton(Connector):
    prop, signal = "checked", "toggled"

    def prepare(self) -> None:
        self.widget.checkable = True


class IntegerBox(Connector):
    prop, signal = "value", "valueChanged"

    def prepare(self) -> None:
        low, high = _limits(self.annotations)
        _set_step(self.widget, self.annotations)
        if isinstance(self.widget, qt.QSlider) and None in (low, high):
            raise RuntimeError("Cannot connect a QSlider to an int that is unbounded")
        # Whatever limits the .ui file gave, the type's are put in their place.
        self.widget.setMinimum(-(2**31) if low is None else low)
        self.widget.setMaximum(2**31 - 1 if high is None else high)


class NumberBox(Connector):
    prop, signal = "value", "valueChanged"

    def prepare(self) -> None:
        low, high = _limits(self.annotations)
        slider = type(self.widget) in (ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
        if slider and None in (low, high):
            raise RuntimeError("Cannot connect a ctkSliderWidget to a float that is unbounded")
        if not isinstance(self.widget, ctk.ctkDoubleSlider):
            decimals = Decimals(0) if self.kind is int else first(self.annotations, Decimals)
            if decimals is not None:
                self.widget.decimals = decimals.value
        _set_step(self.widget, self.annotations)
        self.widget.minimum = float("-inf") if low is None else low
        self.widget.maximum = float("inf") if high is None else high

    def read(self) -> float:
        return self.kind(self.widget.value)

    def write(self, value: float) -> None:
        self.widget.value = self.kind(value)


class ChoiceBox(Connector):
    """The items are those of Choice, whatever the .ui file has."""

    signal = "currentIndexChanged"

    def prepare(self) -> None:
        choice = first(self.annotations, Choice)
        if choice is None:
            raise RuntimeError("A QComboBox needs the Choice annotation to be used, or an Enum")
        self._fill([(str(value), value) for value in choice.choices])

    def _fill(self, items: list[tuple[str, Any]]) -> None:
        self._values = [value for _, value in items]
        self.widget.clear()
        for text, _ in items:
            self.widget.addItem(text)

    def read(self) -> Any:
        return self._values[self.widget.currentIndex]

    def write(self, value: Any) -> None:
        self.widget.currentIndex = self._values.index(value)


class EnumBox(ChoiceBox):
    def prepare(self) -> None:
        label = getattr(self.kind, "label", lambda member: member.name)
        self._fill([(label(member), member) for member in self.kind])


class Line(Connector):
    prop, signal = "text", "textChanged"

    def write(self, value: str) -> None:
        if value != self.widget.text:  # it would move the cursor
            self.widget.text = value


class Label(Connector):
    prop = "text"


class Text(Connector):
    signal = "textChanged"

    def read(self) -> str:
        return self.widget.toPlainText()

    def write(self, value: str) -> None:
        self.widget.setPlainText(value)


class RangeBox(Connector):
    signal = "valuesChanged"

    def prepare(self) -> None:
        bounds = first(self.annotations, RangeBounds)
        if bounds is None:
            raise RuntimeError("A range widget needs a RangeBounds annotation: it is unbounded")
        if first(self.annotations, Default) is None:
            # Slicer tries whether 0 would do, and stumbles over 0 being no range.
            raise AttributeError("RangeBounds without a Default() beside them fail in Slicer")
        decimals = first(self.annotations, Decimals)
        if decimals is not None and not isinstance(self.widget, ctk.ctkDoubleRangeSlider):
            self.widget.decimals = decimals.value
        _set_step(self.widget, self.annotations)
        self.widget.setRange(bounds.minimum, bounds.maximum)

    def read(self) -> FloatRange:
        return FloatRange(self.widget.minimumValue, self.widget.maximumValue)

    def write(self, value: FloatRange) -> None:
        self.widget.setValues(value.minimum, value.maximum)


class PathLine(Connector):
    prop, signal = "currentPath", "currentPathChanged"

    def read(self) -> pathlib.PurePath:
        return self.kind(getattr(self.widget, self.prop))

    def write(self, value: pathlib.PurePath) -> None:
        setattr(self.widget, self.prop, str(value))


class DirectoryButton(PathLine):
    prop, signal = "directory", "directoryChanged"


class NodeBox(Connector):
    """The widget lists nodes of the parameter's types, whatever the .ui file says."""

    signal = "currentNodeChanged"

    def prepare(self) -> None:
        self.widget.nodeTypes = [kind().GetClassName() for kind in _node_types(self.kind)]

    def read(self) -> slicer.vtkMRMLNode | None:
        return self.widget.currentNode()

    def write(self, value: slicer.vtkMRMLNode | None) -> None:
        self.widget.setCurrentNode(value)


def _limits(annotations: tuple) -> tuple[float | None, float | None]:
    within = first(annotations, WithinRange)
    if within is not None:
        return within.minimum, within.maximum
    low, high = first(annotations, Minimum), first(annotations, Maximum)
    return (None if low is None else low.minimum), (None if high is None else high.maximum)


def _set_step(widget: Any, annotations: tuple) -> None:
    step = first(annotations, SingleStep)
    if step is not None:
        widget.singleStep = step.value


def _node_types(kind: Any) -> list[type]:
    """Return the MRML classes that a type allows; none if it is not about nodes alone."""
    in_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    parts = [split(part)[0] for part in (typing.get_args(kind) if in_union else (kind,))]
    nodes = [part for part in parts if part is not type(None)]
    all_nodes = all(isinstance(n, type) and issubclass(n, slicer.vtkMRMLNode) for n in nodes)
    return nodes if all_nodes else []


def _connector_class(widget: Any, kind: Any) -> type[Connector] | None:
    classes: dict[type, dict[type, type[Connector]]] = {
        qt.QCheckBox: {bool: CheckBox},
        ctk.ctkCheckBox: {bool: CheckBox},
        qt.QPushButton: {bool: CheckableButton},
        qt.QSlider: {int: IntegerBox},
        qt.QSpinBox: {int: IntegerBox},
        qt.QLineEdit: {str: Line},
        qt.QLabel: {str: Label},
        qt.QTextEdit: {str: Text},
        ctk.ctkPathLineEdit: {pathlib.PurePath: PathLine},
        ctk.ctkDirectoryButton: {pathlib.PurePath: DirectoryButton},
    }
    numbers = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox)
    for box in (*numbers, slicer.qMRMLSliderWidget, slicer.qMRMLSpinBox):
        classes[box] = {float: NumberBox, int: NumberBox}
    for box in (qt.QComboBox, ctk.ctkComboBox):
        classes[box] = {**dict.fromkeys((int, float, str, bool), ChoiceBox), enum.Enum: EnumBox}
    for box in (ctk.ctkRangeWidget, ctk.ctkDoubleRangeSlider, slicer.qMRMLRangeWidget):
        classes[box] = {FloatRange: RangeBox}
    if type(widget) is slicer.qMRMLNodeComboBox:
        return NodeBox if _node_types(kind) else None
    known = classes.get(type(widget), {})
    for family in (enum.Enum, pathlib.PurePath):
        if isinstance(kind, type) and issubclass(kind, family):
            kind = family
    return known.get(kind)


def connect_widget(widget: Any, annotated: Any) -> Connector:
    """Return the connector. RuntimeError if Slicer has none for this widget and type."""
    cls = _connector_class(widget, split(annotated)[0])
    if cls is None:
        raise RuntimeError(
            f"Unable to create GUI connector from datatype '{annotated}' to widget type "
            f"'{widget.className()}' ({widget.objectName})"
        )
    return cls(widget, annotated)
