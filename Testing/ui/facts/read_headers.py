"""Writes slicer.json: what PythonQt shows of Slicer's and CTK's widget classes.

Read from the C++ headers at the revisions below: PythonQt sees properties, slots, signals and
methods marked Q_INVOKABLE, and no other methods. A member that only one Slicer has is left out.
With the git repositories of both projects at hand::

    python read_headers.py Slicer/.git CTK/.git > slicer.json
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

SLICER = ("v5.12.3", "583e9b37d50ead7daf7b783dce465ccaecec8809")  # the release, and main
CTK = "5056664a20a3d0a393bb6d91f040525581e0dcdf"  # what both Slicers build with

SLICER_HEADERS = (
    "Libs/MRML/Widgets/qMRMLWidget.h",
    "Libs/MRML/Widgets/qMRMLNodeComboBox.h",
    "Libs/MRML/Widgets/qMRMLSortFilterProxyModel.h",
    "Libs/MRML/Widgets/qMRMLSliderWidget.h",
    "Libs/MRML/Widgets/qMRMLSpinBox.h",
    "Libs/MRML/Widgets/qMRMLRangeWidget.h",
    "Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.h",
    "Modules/Loadable/Segmentations/Widgets/qMRMLSegmentsTableView.h",
    "Modules/Loadable/Segmentations/Widgets/qMRMLSegmentationShow3DButton.h",
    "Modules/Loadable/Segmentations/EditorEffects/qSlicerSegmentEditorAbstractEffect.h",
    "Modules/Loadable/Segmentations/EditorEffects/qSlicerSegmentEditorScriptedEffect.h",
    "Modules/Loadable/Segmentations/EditorEffects/qSlicerSegmentEditorEffectFactory.h",
    "Base/QTGUI/qSlicerWidget.h",
    "Base/QTGUI/qSlicerAbstractModuleWidget.h",
    "Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h",
    "Base/QTCore/qSlicerAbstractCoreModule.h",
    "Base/QTGUI/qSlicerAbstractModule.h",
    "Base/QTGUI/qSlicerLoadableModule.h",
    "Base/QTGUI/qSlicerScriptedLoadableModule.h",
    "Base/QTCore/qSlicerModuleManager.h",
    "Base/QTGUI/qSlicerModuleSelectorToolBar.h",
    "Base/QTApp/qSlicerMainWindow.h",
    "Base/QTCore/qSlicerCoreApplication.h",
    "Base/QTGUI/qSlicerApplication.h",
)
# Methods that Slicer gives to its classes for Python alone, in *PythonQtDecorators.h.
DECORATED = {
    "qSlicerCoreApplication": ("testingEnabled()",),
    "qSlicerAbstractModule": ("widgetRepresentation()", "createNewWidgetRepresentation()"),
    "qSlicerAbstractModuleWidget": ("module()",),
}
CTK_HEADERS = tuple(
    f"Libs/Widgets/{name}.h"
    for name in (
        "ctkCheckBox",
        "ctkCheckablePushButton",
        "ctkCollapsibleButton",
        "ctkColorPickerButton",
        "ctkComboBox",
        "ctkDirectoryButton",
        "ctkDoubleRangeSlider",
        "ctkDoubleSlider",
        "ctkDoubleSpinBox",
        "ctkMenuButton",
        "ctkMessageBox",
        "ctkPathLineEdit",
        "ctkPushButton",
        "ctkRangeWidget",
        "ctkSliderWidget",
    )
)

_CLASS = re.compile(r"^class\s+\w*EXPORT\s+(\w+)\s*(?::\s*public\s+(\w+)[^{]*)?\{", re.MULTILINE)
_SECTION = re.compile(
    r"\b(public|protected|private)\s*(slots|Q_SLOTS)?\s*:(?!:)|\b(signals|Q_SIGNALS)\s*:(?!:)"
)
_PROPERTY = re.compile(r"Q_PROPERTY\s*\(\s*([^)]*?)\s*\)", re.DOTALL)
_ENUM = re.compile(r"\benum\s+(\w+)\s*(?::\s*\w+\s*)?\{([^}]*)\}")
_C_VALUES = {"EXIT_SUCCESS": 0, "EXIT_FAILURE": 1}
_NESTED = re.compile(r"\{[^{}]*\}")


def read(folder: str, revision: str, path: str) -> dict[str, dict]:
    """Return the class of a header, by its name; a header of a later Slicer gives nothing."""
    command = ["git", "--git-dir", folder, "show", f"{revision}:{path}"]
    shown = subprocess.run(command, capture_output=True, text=True)
    if shown.returncode:
        return {}
    text = _without_comments(shown.stdout)
    found = _CLASS.search(text)
    assert found, f"no class in {path}"
    body = text[found.end() : _closing_brace(text, found.end())]
    members = _members(body)
    members["methods"] += DECORATED.get(found[1], ())
    return {found[1]: {"header": path, "base": found[2], **members}}


def _without_comments(text: str) -> str:
    # Texts go with the comments: nothing of interest is in either, and both may hold the other.
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', "", text, flags=re.DOTALL)
    lines, conditions = [], []
    for line in text.splitlines():
        directive = re.match(r"\s*#\s*(if|else|endif)", line)
        if not directive:
            lines.append(line)
        elif directive[1] == "if":
            conditions.append(len(lines))
        elif directive[1] == "else":
            # Of alternatives take the second: the first is for a Qt or CTK built unusually.
            del lines[conditions[-1] :]
        else:
            conditions.pop()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if not depth:
            return index
    raise ValueError("the class has no end")


def _members(body: str) -> dict:
    properties = {}
    for declared in _PROPERTY.findall(body):
        type_and_name, *_ = re.split(r"\s+READ\s+", declared)
        kind, name = type_and_name.rsplit(None, 1)
        properties[name] = [kind.removeprefix("std::"), " WRITE " in declared]
    methods, signals, enums = [], [], {}
    for section, statements in _sections(body):
        for name, keys in _ENUM.findall(statements):
            if section == "public":
                enums[name] = _values(keys)
        for statement in re.split(r"[;\n]\s*(?=\w)|;", _without_bodies(statements)):
            if section == "signals":
                signals += _signatures(statement)
            elif section == "public slots" or "Q_INVOKABLE" in statement:
                methods += _signatures(statement)
    return {"properties": properties, "methods": methods, "signals": signals, "enums": enums}


def _values(keys: str) -> dict[str, int]:
    """Return what the keys of an enumeration stand for: numbers, or combinations of other keys."""
    values: dict[str, int] = {}
    for key in filter(None, (key.strip() for key in keys.split(","))):
        name, _, expression = (part.strip() for part in key.partition("="))
        terms = [part.strip().rpartition("::")[2] for part in expression.split("|") if part.strip()]
        value = max(values.values(), default=-1) + 1
        if terms:
            known = values | _C_VALUES
            value = 0
            for term in terms:
                value |= known[term] if term in known else int(term, 0)
        values[name] = value
    return values


def _sections(body: str) -> Iterator[tuple[str, str]]:
    marks = list(_SECTION.finditer(body))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        access, slots, is_signals = mark.groups()
        name = "signals" if is_signals else f"{access} slots" if slots else access
        yield name, body[mark.end() : following.start() if following else len(body)]


def _without_bodies(text: str) -> str:
    while (shorter := _NESTED.sub(";", text)) != text:
        text = shorter
    return re.sub(r"\s+", " ", text)


def _signatures(statement: str) -> list[str]:
    """Return the signature of a declaration, and one more for each argument with a default."""
    found = re.search(r"\b(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", statement)
    if not found or found[1].startswith(("Q_", "CTK_")) or "operator" in statement:
        return []
    name, arguments = found.groups()
    parts = [part.strip() for part in arguments.split(",") if part.strip()]
    defaults = sum("=" in part for part in parts)
    kinds = [_kind(part) for part in parts]
    return [f"{name}({','.join(kinds[: len(kinds) - n])})" for n in range(defaults + 1)]


def _kind(argument: str) -> str:
    words = argument.split("=")[0].replace("&", " ").replace("*", " * ").split()
    constant_pointer = words[0] == "const" and "*" in words
    words = [word for word in words if word != "const" or constant_pointer]
    if len(words) > 1 and words[-1] != "*" and words[-2] not in ("unsigned", "const"):
        words = words[:-1]
    return " ".join(words).replace(" *", "*").removeprefix("std::")


def common(first: dict, second: dict) -> dict:
    """Return the members that both have of each class that both have."""
    return {
        name: {
            **first[name],
            "properties": {
                key: value
                for key, value in first[name]["properties"].items()
                if key in second[name]["properties"]
            },
            **{
                kind: [item for item in first[name][kind] if item in second[name][kind]]
                for kind in ("methods", "signals")
            },
        }
        for name in sorted(first.keys() & second.keys())
    }


def main(slicer: str, ctk: str) -> None:
    of_ctk: dict[str, dict] = {}
    for path in CTK_HEADERS:
        of_ctk |= read(ctk, CTK, path)
    of_slicer: list[dict] = [{}, {}]
    for found, revision in zip(of_slicer, SLICER, strict=True):
        for path in SLICER_HEADERS:
            found |= read(slicer, revision, path)
    result = {**of_ctk, **common(*of_slicer)}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in result.items())
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
