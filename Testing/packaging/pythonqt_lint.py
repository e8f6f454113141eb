"""Finds in the source what would fail in Slicer's Python, or only in one of its Qt versions.

Each rule reads a syntax tree and yields nodes with what is wrong about them. What the classes have
comes from ``Testing/ui/facts``: Qt 5.15 and Qt 6 told it themselves, Slicer's and CTK's headers do.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_FACTS = Path(__file__).resolve().parent.parent / "ui" / "facts"
_OF_SLICER = {"slicer", "qt", "ctk", "vtk"}
# Cheap to import, and needed wherever a module of the library is.
_OURS = {"GDLACore", "GDLASegmenterLib", "SegmentEditorGDLALib"}
_OF_LIBRARY = {*_OF_SLICER, *_OURS, "SegmentEditorEffects", "numpy"}
_GONE = {
    "QDesktopWidget": "slicer.app.screens()",
    "QRegExp": "QRegularExpression",
    "QTextCodec": "bytes.decode()",
    "QSignalMapper": "a function for each sender",
    "setMargin": "setContentsMargins()",
}
_TRANSLATIONS = {"_": 0, "tr": 0, "translate": 1}  # which argument is the text


@dataclass(frozen=True)
class Source:
    """A file to look through. ``widgets`` are the classes of its form's widgets by their names."""

    tree: ast.Module
    is_module_file: bool = False  # the one that Slicer loads at its start
    widgets: dict[str, str] = field(default_factory=dict)


Rule = Callable[[Source], Iterator[tuple[ast.AST, str]]]


def lint(text: str, *, is_module_file: bool = False, widgets: dict[str, str] | None = None) -> list:
    """Return a line for each thing that is wrong with a source: its number, and what."""
    source = Source(ast.parse(text), is_module_file, widgets or {})
    found = {(node.lineno, message) for rule in RULES for node, message in rule(source)}
    return [f"{line}: {message}" for line, message in sorted(found)]


def lint_test(text: str) -> list[str]:
    """Return what is wrong with the source of a test."""
    tree = Source(ast.parse(text))
    return [f"{node.lineno}: {message}" for node, message in mocks(tree)]


def widgets_of(form: Path) -> dict[str, str]:
    """Return the classes of the widgets in a Qt Designer file, by their names."""
    return {w.get("name"): w.get("class") for w in ET.parse(form).getroot().iter("widget")}


# What the classes have


@cache
def _classes() -> dict[str, dict]:
    files = ("qt.json", "slicer.json")
    return {k: v for name in files for k, v in json.loads((_FACTS / name).read_text()).items()}


@cache
def _inherited(name: str | None, kind: str) -> frozenset[str]:
    if name not in _classes():
        return frozenset()
    own = _classes()[name]
    return frozenset(own.get(kind, ())) | _inherited(own.get("base"), kind)


@cache
def _everywhere(kind: str) -> frozenset[str]:
    return frozenset(item for name in _classes() for item in _inherited(name, kind))


@cache
def _only_properties() -> frozenset[str]:
    """Return the names that are a property wherever some class has them."""
    methods = set()
    for name, described in _classes().items():
        names = {signature.partition("(")[0] for signature in _inherited(name, "methods")}
        methods |= names - (_inherited(name, "properties") if "properties" in described else set())
    return _everywhere("properties") - methods


@cache
def _names_of_slicer_util() -> frozenset[str]:
    """Return what slicer.util defines, from its source: importing it takes Slicer's libraries."""
    package = importlib.util.find_spec("slicer")
    tree = ast.parse(Path(package.origin).with_name("util.py").read_text(encoding="utf-8"))
    defined = (ast.FunctionDef, ast.ClassDef)
    return frozenset(node.name for node in tree.body if isinstance(node, defined))


def _class_of(node: ast.expr, source: Source) -> str | None:
    """Return the class of what an expression stands for, where it can be told: ``self.ui.name``."""
    if isinstance(node, ast.Attribute):
        if ast.unparse(node) == "slicer.app":
            return "qSlicerApplication"
        if isinstance(node.value, (ast.Name, ast.Attribute)):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if owner in ("ui", "_ui"):
                return source.widgets.get(node.attr)
    return None


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


# The rules


def signals(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for call in _calls(source):
        is_connect = isinstance(call.func, ast.Attribute) and call.func.attr in (
            "connect",
            "disconnect",
        )
        if not is_connect or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        if len(call.args) < 2 and call.func.attr == "connect":
            continue  # widget.clicked.connect(handler), or a text that is no signal
        signature = re.sub(r"\s|const |&", "", str(call.args[0].value))
        owner = _class_of(call.func.value, source)
        known = _inherited(owner, "signals") if owner else _everywhere("signals")
        if signature not in known:
            where = owner or "any class that Qt 5.15 and Qt 6 have"
            yield call, f"{signature} is no signal of {where}"


def getters(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for call in _calls(source):
        if not isinstance(call.func, ast.Attribute) or call.args or call.keywords:
            continue
        name, owner = call.func.attr, _class_of(call.func.value, source)
        known = _inherited(owner, "properties") if owner else _only_properties()
        if name in known:
            yield call, f"{name} is a property, not a method: leave out the parentheses"


def members(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = _class_of(node.value, source)
        if owner not in _classes() or owner is None:
            continue
        kinds = ("properties", "methods", "signals")
        names = {item.partition("(")[0] for kind in kinds for item in _inherited(owner, kind)}
        names |= {"className", "connect", "disconnect", "delete", "name"}
        if node.attr not in names and node.attr.removesuffix("_") not in names:
            yield node, f"{owner} has no {node.attr} in Qt 5.15 and Qt 6, or in Slicer's headers"


def classes(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        module, name = node.value.id, node.attr
        is_qt = module in ("qt", "ctk") or (module == "slicer" and name.startswith(("qMRML", "qS")))
        if is_qt and name not in _classes() and name != "QUiLoader":
            yield node, f"{module}.{name} is not in Qt 5.15 and Qt 6, or not known here"


def keywords(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for call in _calls(source):
        if call.keywords and ast.unparse(call.func).startswith(("qt.", "ctk.")):
            yield call, f"{ast.unparse(call.func)} takes no keyword arguments in PythonQt"


def scoped_enumerations(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            scoped = re.fullmatch(r"(?:qt|ctk)\.(\w+)\.([A-Z]\w+)\.(\w+)", ast.unparse(node))
            if scoped:
                yield node, f"PythonQt has no scoped names: write {scoped[1]}.{scoped[3]}"


def gone_names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in _GONE:
            yield node, f"{node.attr} is gone from Qt 6: use {_GONE[node.attr]}"


def leaked_names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        names = []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "slicer":
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and node.module == "slicer":
            names = [alias.name for alias in node.names]
        for name in names:
            if name in _names_of_slicer_util():
                yield node, f"slicer.{name} is slicer.util.{name}: only a package on PyPI has both"


def untranslatable_texts(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for call in _calls(source):
        position = _TRANSLATIONS.get(ast.unparse(call.func))
        if position is None or len(call.args) <= position:
            continue
        if not all(_is_text(part) for part in _alternatives(call.args[position])):
            yield call, "translators get literal texts alone: _('… {name} …').format(name=…)"


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [*_alternatives(node.body), *_alternatives(node.orelse)]
    return [node]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def imports_at_file_scope(source: Source) -> Iterator[tuple[ast.AST, str]]:
    allowed = _OF_SLICER if source.is_module_file else _OF_LIBRARY
    for node in _file_scope(source.tree.body):
        for package in _imported(node):
            if package not in allowed and package not in sys.stdlib_module_names:
                yield node, f"import {package} inside the functions that need it"


def _file_scope(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the file is imported."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        for inner in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _file_scope(getattr(node, inner, []))


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]] if not node.level else []
    return []


def events_in_between(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr == "processEvents":
            yield node, "processEvents lets anything happen in between: use a timer"


def mocks(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if any("mock" in name.lower() for name in names):
                yield node, "a mock accepts every mistake: use a stand-in that knows what there is"


RULES: tuple[Rule, ...] = (
    signals,
    getters,
    members,
    classes,
    keywords,
    scoped_enumerations,
    gone_names,
    leaked_names,
    untranslatable_texts,
    imports_at_file_scope,
    events_in_between,
)
