"""The class decorator: attributes of a class become parameters of a node, and follow widgets."""

from __future__ import annotations

import logging
import typing
import weakref
from typing import Any

import qt
import slicer
import slicer.util
import vtk

from slicer_python.parameter_node.annotations import Default
from slicer_python.parameter_node.connectors import Connector, connect_widget
from slicer_python.parameter_node.serializers import Serializer, serializer_for

SlicerParameterNamePropertyName = "SlicerParameterName"


class _Parameter:
    """A value in a node, read again whenever the node is modified and not at any other time."""

    def __init__(
        self,
        node: slicer.vtkMRMLScriptedModuleNode,
        name: str,
        serializer: Serializer,
        default: Default,
    ) -> None:
        self._node, self._name, self._serializer, self._default = node, name, serializer, default
        if not serializer.is_in(node, name):
            serializer.write(node, name, default.value)
        self._value = serializer.read(node, name)
        this = weakref.ref(self)  # the node must not keep alive what observes it

        def refresh(caller: vtk.vtkObject, event: str) -> None:
            this()._refresh()

        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, refresh)

    def __del__(self) -> None:
        self._node.RemoveObserver(self._tag)

    def _refresh(self) -> None:
        if not self._serializer.is_in(self._node, self._name):
            self._serializer.write(self._node, self._name, self._default.value)
        self._value = self._serializer.read(self._node, self._name)

    def read(self) -> Any:
        return self._value

    def write(self, value: Any) -> None:
        # The new value must be there before observers of the node ask for it.
        with slicer.util.NodeModify(self._node):
            self._serializer.write(self._node, self._name, value)
            self._value = self._serializer.read(self._node, self._name)


class _Wrapper:
    """What the decorator adds to a class. ``allParameters`` are its members' types by name."""

    allParameters: dict[str, Any]
    _is_parameter_node_wrapper = True

    def default(self, name: str) -> Default:
        self._require(name)
        return self._defaults[name]

    def isCached(self, name: str) -> bool:
        self._require(name)
        return True

    @classmethod
    def dataType(cls, name: str) -> Any:
        cls._require(name)
        return cls.allParameters[name]

    def getValue(self, name: str) -> Any:
        self._require(name)
        return self._parameters[name].read()

    def setValue(self, name: str, value: Any) -> None:
        self._require(name)
        self._parameters[name].write(value)

    @classmethod
    def _require(cls, name: str) -> None:
        if name not in cls.allParameters:
            known = ", ".join(cls.allParameters)
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {known}")

    # Widgets

    def connectGui(self, gui: Any) -> int:
        """Connect each widget that names a parameter in its property SlicerParameterName.

        ``gui`` is a widget, or what ``slicer.util.childWidgetVariables`` made. RuntimeError if
        Slicer cannot connect this kind of widget to the parameter's type.
        """
        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: named[name] for name in named if name})

    def connectParametersToGui(self, widgets: dict[str, Any]) -> int:
        for name in widgets:
            self._require(name)
        connectors = {
            name: connect_widget(widget, self.allParameters[name])
            for name, widget in widgets.items()
        }
        tag = self._next_tag
        self._next_tag += 1
        self._connected[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.start(self._receiver(name, connector))
        self._observers[tag] = self.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._update_widgets()
        )
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        for connector in self._connected.pop(tag, {}).values():
            connector.stop()
        if tag in self._observers:
            self.RemoveObserver(self._observers.pop(tag))

    def _receiver(self, name: str, connector: Connector) -> Any:
        def receive() -> None:
            with slicer.util.NodeModify(self.parameterNode):
                if not self._updating:
                    self.setValue(name, connector.read())

        return receive

    def _update_widgets(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self.parameterNode):
                for connectors in list(self._connected.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating = False

    # The node's own

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> int:
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event: int, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def _initialize(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
    self.parameterNode = parameterNode
    self._next_tag, self._updating = 0, False
    self._connected, self._observers = {}, {}
    self._parameters = {
        name: _Parameter(parameterNode, (prefix or "") + name, serializer, self._defaults[name])
        for name, serializer in self._serializers.items()
    }


def _wrap(cls: type) -> type:
    hints = typing.get_type_hints(cls, include_extras=True)
    reserved = [name for name in vars(_Wrapper) if not name.startswith("__")]
    serializers, defaults = {}, {}
    for name, hint in hints.items():
        if name in reserved:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        try:
            serializers[name], unused = serializer_for(hint)
        except (TypeError, ValueError) as error:
            raise Exception(f"Unable to create serializer for {cls} member {name}") from error
        defaults[name] = _default(cls, name, serializers[name], unused)
        unused = [item for item in unused if not isinstance(item, Default)]
        if unused:
            logging.warning(f"Unused annotations: {unused}")
        setattr(cls, name, _property(name))
    for name in reserved:
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(cls, name, vars(_Wrapper)[name])
    cls.allParameters, cls._serializers, cls._defaults = hints, serializers, defaults
    cls.__init__ = _initialize
    return cls


def _default(cls: type, name: str, serializer: Serializer, annotations: tuple) -> Default:
    if hasattr(cls, name):
        return Default(getattr(cls, name))
    given = [item for item in annotations if isinstance(item, Default)]
    if len(given) > 1:
        raise Exception("Multiple defaults found")
    return given[0] if given else Default(serializer.default())


def _property(name: str) -> property:
    return property(
        lambda self: self._parameters[name].read(),
        lambda self, value: self._parameters[name].write(value),
    )


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Decorate a class, as ``@parameterNodeWrapper`` or ``@parameterNodeWrapper()``."""
    return _wrap if classtype is None else _wrap(classtype)


def isParameterNodeWrapper(classOrObj: Any) -> bool:
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)
