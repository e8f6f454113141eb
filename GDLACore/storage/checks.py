"""What was found when all bytes of a model file were checked, remembered beside the models.

To read gigabytes each time a list is shown would take seconds. A finding holds for a file of that
size and time of change only. Where nothing may be written, nothing is remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from GDLACore.atomic import replacing
from GDLACore.errors import OutputError

_FILE = ".checks.json"


@dataclass(frozen=True)
class Finding:
    """What a check of a file of that ``size`` and ``mtime_ns`` found: a sentence, "" if sound."""

    size: int
    mtime_ns: int
    problem: str

    def holds_for(self, status: os.stat_result) -> bool:
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


def findings(folder: Path) -> dict[str, Finding]:
    """Return what is remembered of the files in ``folder``, by their names."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    items = data.items() if isinstance(data, dict) else ()
    return {name: found for name, value in items if (found := _finding(value)) is not None}


def remember(path: Path, problem: str = "") -> None:
    """Remember what a check of the file at ``path`` found."""
    with suppress(OSError):
        status = path.stat()
        found = Finding(status.st_size, status.st_mtime_ns, problem)
        _write(path.parent, {**findings(path.parent), path.name: found})


def forget(path: Path) -> None:
    """Forget what is known of the file that was at ``path``."""
    known = findings(path.parent)
    if known.pop(path.name, None) is not None:
        _write(path.parent, known)


def _write(folder: Path, known: Mapping[str, Finding]) -> None:
    data = {name: [f.size, f.mtime_ns, f.problem] for name, f in sorted(known.items())}
    with suppress(OutputError), replacing(folder / _FILE) as part:
        part.write_text(json.dumps(data, indent=1), encoding="utf-8")


def _finding(value: Any) -> Finding | None:
    match value:
        case [int(size), int(mtime_ns), str(problem)]:
            return Finding(size, mtime_ns, problem)
    return None
