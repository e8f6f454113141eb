"""Loads a Qt Designer file as Slicer does, and refuses what Slicer would pass over.

Qt makes the widgets; connections, and the properties of Slicer's and CTK's widgets, are set here,
so that a class, property, signal or slot that does not exist is an error. Qt would turn an unknown
property into a dynamic one, and print a line for an unknown signal.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from pythonqt import facts, instances
from pythonqt.binding import QObject, QtCore, QtUiTools, QtWidgets
from pythonqt.classes import seen, wrapper
from pythonqt.declared import declared

# Qt's form builder knows these without the class having them.
_OF_THE_BUILDER = {"buddy"}
_OF_LAYOUTS = {
    *("leftMargin", "topMargin", "rightMargin", "bottomMargin", "spacing", "sizeConstraint"),
    *("horizontalSpacing", "verticalSpacing", "fieldGrowthPolicy", "rowWrapPolicy"),
    *("labelAlignment", "formAlignment"),
}


class _Builder(QtUiTools.QUiLoader):
    """Qt's loader, making objects of our classes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[QObject] = []

    def _keep(self, made: QObject, name: str) -> QObject:
        QObject.setObjectName(made, name)
        self.made.append(made)
        return made

    def createWidget(self, kind: str, parent: Any = None, name: str = "") -> QObject:
        cls = declared.get(kind) or wrapper(getattr(QtWidgets, kind))
        return self._keep(cls() if parent is None else cls(parent), name)

    def createLayout(self, kind: str, parent: Any = None, name: str = "") -> QObject:
        cls = wrapper(getattr(QtWidgets, kind))
        top = isinstance(parent, QtWidgets.QWidget) and QtWidgets.QWidget.layout(parent) is None
        return self._keep(cls(parent) if top else cls(), name)


class QUiLoader:
    """``qt.QUiLoader``."""

    def load(self, file: QtCore.QFile, parent: QtWidgets.QWidget | None = None) -> QObject:
        """Return the widget that the file describes. RuntimeError says what is wrong in it."""
        path = Path(QtCore.QFile.fileName(file))
        root = ET.parse(path).getroot()
        _check_classes(root)
        _check_properties(root)
        later = _take_declared_properties(root)
        connections = list(root.iter("connection"))
        for element in root.findall("connections"):
            root.remove(element)
        builder = _Builder()
        builder.setWorkingDirectory(QtCore.QDir(str(path.parent)))
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QBuffer.ReadOnly)
        with instances.without_names_of_children():
            widget = seen(builder.load(buffer, parent))
        if widget is None:
            raise RuntimeError(f"{path.name}: {builder.errorString()}")
        names = {QObject.objectName(made): made for made in builder.made}
        for name, properties in later:
            for prop, value in properties.items():
                setattr(names[name], prop, value)
        for connection in connections:
            _connect(connection, names)
        widget._pq_made = builder.made  # children made by Python live as long as Python knows them
        return widget


def _fail(message: str) -> None:
    raise RuntimeError(f"in the .ui file: {message}")


def _check_classes(root: ET.Element) -> None:
    customs = {custom.findtext("class"): custom for custom in root.iter("customwidget")}
    for widget in root.iter("widget"):
        kind, name = widget.get("class"), widget.get("name")
        if kind in customs:
            if kind not in declared:
                _fail(f"{name} is a {kind}, which has no stand-in")
        elif kind not in facts.qt_classes():
            _fail(f"{name} is a {kind}, which is not in <customwidgets> and not in Qt 5.15 and 6")
    for kind, custom in customs.items():
        base = facts.slicer_classes().get(kind, {}).get("base")
        if base and custom.findtext("extends") not in facts_of_line(kind):
            _fail(f"{kind} extends {base}, not {custom.findtext('extends')}")


def facts_of_line(kind: str) -> set[str]:
    """Return the names of the classes that ``kind`` derives from."""
    line: set[str] = set()
    while kind:
        described = facts.slicer_classes().get(kind) or facts.qt_classes().get(kind, {})
        kind = described.get("base")
        line.add(kind)
    return line


def _check_properties(root: ET.Element) -> None:
    for widget in [*root.iter("widget"), *root.iter("action")]:
        kind = widget.get("class", "QAction")
        known = facts.members(kind).properties | _OF_THE_BUILDER
        for prop in widget.findall("property"):
            if prop.get("name") not in known and prop.get("stdset") != "0":
                _fail(f"{kind} {widget.get('name')} has no property {prop.get('name')}")
    for layout in root.iter("layout"):
        for prop in layout.findall("property"):
            if prop.get("name") not in _OF_LAYOUTS:
                _fail(f"layout {layout.get('name')} has no property {prop.get('name')}")


def _take_declared_properties(root: ET.Element) -> list[tuple[str, dict[str, Any]]]:
    """Remove what only the stand-ins understand, and return it by the name of the widget."""
    taken = []
    for widget in root.iter("widget"):
        if widget.get("class") not in declared:
            continue
        own = _own_properties(widget.get("class"))
        mine = [prop for prop in widget.findall("property") if prop.get("name") in own]
        values = {prop.get("name"): _value(prop[0], own[prop.get("name")]) for prop in mine}
        taken.append((widget.get("name"), values))
        for prop in mine:
            widget.remove(prop)
    return taken


def _own_properties(kind: str) -> dict[str, dict[str, int]]:
    """Return the properties declared for a class, each with the enumeration values at hand."""
    found: dict[str, dict[str, int]] = {}
    enums: dict[str, int] = {}
    while kind in facts.slicer_classes():
        header = facts.slicer_classes()[kind]
        for keys in header["enums"].values():
            enums |= keys
        found |= dict.fromkeys(header["properties"], enums)
        kind = header["base"]
    return found


def _value(element: ET.Element, enums: dict[str, int]) -> Any:
    text = element.text or ""
    if element.tag == "stringlist":
        return tuple(item.text or "" for item in element)
    if element.tag in ("enum", "set"):
        number = 0
        for key in filter(None, text.split("|")):
            scope, _, short = key.rpartition("::")
            native = getattr(QtCore.Qt, short, None) if scope == "Qt" else None
            if short not in enums and native is None:
                owner = getattr(QtWidgets, scope.partition("::")[0], None)
                native = getattr(owner, short, None)
                if native is None:
                    _fail(f"unknown value {key}")
            number |= int(enums.get(short, native))
        return number
    readers = {"bool": lambda: text == "true", "number": lambda: int(text)}
    readers |= {"double": lambda: float(text), "string": lambda: text}
    if element.tag not in readers:
        _fail(f"<{element.tag}> is not understood for a property of Slicer's or CTK's widgets")
    return readers[element.tag]()


def _connect(connection: ET.Element, names: dict[str, QObject]) -> None:
    parts = {part: connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")}
    for end in ("sender", "receiver"):
        if parts[end] not in names:
            _fail(f"a connection names {parts[end]}, and no widget is called so")
    receiver = names[parts["receiver"]]
    name, _, _ = parts["slot"].partition("(")
    if parts["slot"] not in _slots(receiver) and name not in _native_slots(receiver):
        _fail(f"{receiver.className()} {parts['receiver']} has no slot {parts['slot']}")
    try:
        names[parts["sender"]].connect(parts["signal"], receiver, parts["slot"])
    except ValueError as error:
        _fail(str(error))


def _slots(receiver: QObject) -> set[str]:
    return {
        signature
        for kind in type(receiver).__mro__
        for signature in facts.slicer_classes().get(kind.__name__, {}).get("methods", ())
    }


def _native_slots(receiver: QObject) -> set[str]:
    meta = QObject.metaObject(receiver)
    methods = (meta.method(index) for index in range(meta.methodCount()))
    slot = QtCore.QMetaMethod.MethodType.Slot
    return {bytes(method.name()).decode() for method in methods if method.methodType() == slot}
