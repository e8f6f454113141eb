"""The names that classes have: of Qt in both its versions, and of Slicer's and CTK's widgets.

``facts/qt.json`` and ``facts/slicer.json`` are read from Qt itself and from the C++ headers, by the
programs beside them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent.parent / "facts"


@dataclass(frozen=True)
class Members:
    """What a class has, with what it inherits. Signals by name, each with its signatures.

    ``read_only`` are properties of Slicer's classes; of its own, Qt knows.
    """

    properties: frozenset[str]
    read_only: frozenset[str]
    signals: dict[str, tuple[str, ...]]
    methods: frozenset[str]

    def extended(self, declared: dict) -> Members:
        """Return these and the members of a class derived from this one."""
        signals = dict(self.signals)
        for signature in declared.get("signals", ()):
            name = signature.partition("(")[0]
            signals[name] = (*signals.get(name, ()), signature)
        names = {signature.partition("(")[0] for signature in declared.get("methods", ())}
        keys = {key for enum in declared.get("enums", {}).values() for key in enum}
        properties = declared.get("properties", ())
        is_slicer = isinstance(properties, dict)
        fixed = {name for name in properties if is_slicer and not properties[name][1]}
        return Members(
            self.properties | set(properties),
            self.read_only - set(properties) | fixed,
            signals,
            self.methods | names | keys,
        )


NOTHING = Members(frozenset(), frozenset(), {}, frozenset())


@cache
def qt_classes() -> dict[str, dict]:
    return json.loads((_FOLDER / "qt.json").read_text())


@cache
def slicer_classes() -> dict[str, dict]:
    return json.loads((_FOLDER / "slicer.json").read_text())


@cache
def members(name: str) -> Members:
    """Return the members of the class ``name``; KeyError if it is not known."""
    declared = slicer_classes().get(name) or qt_classes()[name]
    base = declared.get("base")
    known = base in qt_classes() or base in slicer_classes()
    return (members(base) if known else NOTHING).extended(declared)
