"""What one Python package asks of others: names, extras and versions, as far as wheels use them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*"
    r"(\[(?P<extras>[^\]]*)\])?\s*"
    r"\(?(?P<versions>[^;)]*)\)?\s*"
    r"(;(?P<marker>.*))?",
    re.DOTALL,
)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_CLAUSE = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*([\w.*+!-]+)\s*")
_NUMBERS = re.compile(r"\d+(\.\d+)*")

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Requirement:
    """A package by its normalised name; ``extra`` is the one that it belongs to, "" for always.

    ``conditional``: needed on some systems only, by a condition that is not looked into.
    """

    name: str
    extras: frozenset[str] = frozenset()
    versions: str = ""
    extra: str = ""
    conditional: bool = False

    def accepts(self, version: str) -> bool:
        """Return whether ``version`` will do; what is not understood is left to pip."""
        found = numbers(version)
        clauses = [_CLAUSE.fullmatch(text) for text in self.versions.split(",") if text.strip()]
        return found is None or all(
            _holds(found, clause.group(1), clause.group(2)) for clause in clauses if clause
        )


def parse_requirement(text: str) -> Requirement | None:
    """Return the requirement in ``text``, such as ``a[b]>=1,<2; extra == "c"``, None if unclear."""
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        return None
    marker = match["marker"] or ""
    extra = _EXTRA.search(marker)
    rest = _EXTRA.sub("", marker)
    return Requirement(
        normalized(match["name"]),
        frozenset(normalized(name) for name in (match["extras"] or "").split(",") if name.strip()),
        (match["versions"] or "").strip(),
        normalized(extra.group(1)) if extra else "",
        bool(re.search(r"\w\s*[=<>!~]|\bin\b", rest)),
    )


def normalized(name: str) -> str:
    """Return the name of a package as everyone writes it who compares names."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def numbers(version: str) -> Numbers | None:
    """Return "1.32.0" as (1, 32, 0); None for anything but numbers, such as a preview."""
    version = version.partition("+")[0]
    return tuple(map(int, version.split("."))) if _NUMBERS.fullmatch(version) else None


def _holds(found: Numbers, operator: str, text: str) -> bool:
    wanted = numbers(text.removesuffix(".*"))
    if wanted is None:
        return True
    length = max(len(found), len(wanted))
    a, b = (version + (0,) * (length - len(version)) for version in (found, wanted))
    same = a[: len(wanted)] == wanted if text.endswith(".*") else a == b
    if operator == "~=":
        return a >= b and a[: len(wanted) - 1] == wanted[:-1]
    return {
        "==": same,
        "!=": not same,
        "<=": a <= b,
        ">=": a >= b,
        "<": a < b,
        ">": a > b,
    }[operator]
