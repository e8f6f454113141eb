"""Writes qt.json: the members of Qt's classes that Slicer's Python may use in Qt 5.15 and in Qt 6.

Each major version of Qt tells about itself, through its own meta-objects, so no list is typed by
hand. In an environment with PyQt5 5.15, and again in one with PySide6::

    python read_qt.py dump > qt5.json
    python read_qt.py dump > qt6.json
    python read_qt.py merge qt5.json qt6.json > qt.json
"""

from __future__ import annotations

import enum
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

MODULES = ("QtCore", "QtGui", "QtWidgets")
# Families of classes that a module's panel has no use for: half of Qt.
UNUSED = re.compile(
    "(?!QPainter$|QMouseEvent$)(?:"
    "Q(Graphics|Accessible|OpenGL|State|Xml|Style|Matrix|Vector|Quaternion|Undo|Wizard|Mdi|Json|Cbor"
    "|Animation|Easing|Gesture|Raw|Text(?!Edit|Browser|Cursor|Option|Document)|Collator|Basic|Data"
    "|Drag|Inputmethod|Page|Paged|Pdf|Printer|Semaphore|Mutex|Read|Write|Wait|Runnable|Thread"
    "|Parallel|Sequential|Variant|Property|Pause|Touch|Tablet|Surface|Window|Pointing|Proxy"
    "|Transposed|Identity|Concatenate|Sort|Keyed|Scroller|Glyph|Rhi|Signal).*"
    "|Q.*(Event|Animation|Gesture|Transition|Plugin|Painter|Interface|Engine|Iterator|Validator"
    "|Gradient|Effect|Reader|Writer|Handler|Factory))"
)


def dump() -> dict[str, dict]:
    """Return what this environment's Qt has: classes with base, properties, signals, methods."""
    binding = "PyQt5" if importlib.util.find_spec("PyQt5") else "PySide6"
    core, *others = (importlib.import_module(f"{binding}.{name}") for name in MODULES)
    # QtCore comes last: its Qt is the namespace, and QtGui's but a scrap of it.
    modules = (*others, core)
    found = ((name, getattr(module, name)) for module in modules for name in dir(module))
    return {
        name: _describe(value, core)
        for name, value in found
        if isinstance(value, type)
        and name.startswith("Q")
        and "_" not in name
        and not UNUSED.fullmatch(name)
    }


def _describe(cls: type, core: ModuleType) -> dict:
    # Both bindings fill a class only when asked for what is in it, which dir() does.
    bases = [base for base in cls.__mro__[1:] if base.__name__.startswith("Q")]
    inherited = set(dir(bases[0])) if bases else set()
    own = [name for name in dir(cls) if name not in inherited and not name.startswith("_")]
    for value in [getattr(cls, name, None) for name in own]:
        if isinstance(value, enum.EnumMeta):
            own += value.__members__
    if not issubclass(cls, core.QObject):
        return {"base": bases[0].__name__ if bases else None, "methods": own}
    meta = cls.staticMetaObject
    methods = [meta.method(i) for i in range(meta.methodOffset(), meta.methodCount())]
    properties = [meta.property(i) for i in range(meta.propertyOffset(), meta.propertyCount())]
    signals = [
        bytes(method.methodSignature()).decode()
        for method in methods
        if method.methodType() == core.QMetaMethod.MethodType.Signal
    ]
    return {
        "base": bases[0].__name__ if bases else None,
        "properties": [str(item.name()) for item in properties],
        # Private signals carry a last argument that no handler gets to see.
        "signals": [signal.replace("QPrivateSignal", "") for signal in signals],
        "methods": [name for name in own if name != "staticMetaObject"],
    }


def merge(first: dict[str, dict], second: dict[str, dict]) -> dict[str, dict]:
    """Return what both have. A member may have moved to another class of the same line."""
    return {
        name: {"base": first[name]["base"], **_common(name, first, second)}
        for name in sorted(first.keys() & second.keys())
        if first[name].keys() == second[name].keys()
    }


def _common(name: str, first: dict[str, dict], second: dict[str, dict]) -> dict[str, list[str]]:
    kinds = [kind for kind in ("properties", "signals", "methods") if kind in first[name]]
    return {kind: sorted(set(first[name][kind]) & _all(name, kind, second)) for kind in kinds}


def _all(name: str | None, kind: str, classes: dict[str, dict]) -> set[str]:
    found: set[str] = set()
    while name in classes:
        found |= set(classes[name].get(kind, ()))
        name = classes[name].get("base")
    return found


if __name__ == "__main__":
    if sys.argv[1] == "dump":
        result = dump()
    else:
        result = merge(*(json.loads(Path(path).read_text()) for path in sys.argv[2:4]))
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in result.items())
    print("{\n" + ",\n".join(lines) + "\n}")
