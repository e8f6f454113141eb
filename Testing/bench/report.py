"""What a benchmark leaves behind: a table to read, numbers as JSON, a place in the documentation.

Each table in the documentation stands between two comments that name it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fresh import ROOT
from machine import machine

PAGE = ROOT / "docs/performance.md"


def add_report_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Let the user say where the results of benchmark ``name`` go."""
    parser.add_argument("--docs", action="store_true", help="put the table into the documentation")
    parser.add_argument("--json", type=Path, default=ROOT / f"build/bench/{name}.json")


def publish(
    arguments: argparse.Namespace,
    result: Mapping[str, Any],
    lines: Sequence[str],
    page: Path = PAGE,
) -> None:
    """Print ``lines`` (Markdown) under the machine's description, and save them and ``result``."""
    facts = result["machine"]
    text = "\n".join([*(f"- {name}: {value}" for name, value in facts.items()), "", *lines])
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(text)
    if arguments.docs:
        replace_table(page, result["section"], text)


def heading(arguments: argparse.Namespace, section: str, page: Path = PAGE) -> dict[str, Any]:
    """Return how every result begins: the machine, before it gets busy, and the settings.

    ``section`` names its place in ``page``. Raises ValueError, before anything has been measured,
    if the user wants it there and there is none.
    """
    if arguments.docs:
        _parted(page, section)
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if name not in ("json", "docs")
    }
    return {"section": section, "machine": machine(), "settings": settings}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; all columns but the first are numbers."""
    return [
        f"| {' | '.join(header)} |",
        "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def replace_table(page: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- name -->`` and ``<!-- /name -->`` in ``page``.

    Raises ValueError if the page has no such place.
    """
    before, after = _parted(page, name)
    page.write_text(f"{before}\n{text.strip()}\n\n{after}", encoding="utf-8")


def _parted(page: Path, name: str) -> tuple[str, str]:
    """Return what stands before and after the place called ``name``, its comments included."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no place for the table {name!r}")
    return before + start, end + after
