"""Whether a build works: it is imported by the Python that will use it, in a process of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from GDLACore.errors import InstallationError
from GDLACore.installation.control import Control
from GDLACore.installation.python import Python

_PROGRAM = Path(__file__).resolve().with_name("trial_program.py")


@dataclass(frozen=True)
class Trial:
    """What a build that works says of itself."""

    version: str
    providers: tuple[str, ...]


def try_out(python: Python, build: Path, folder: Path, control: Control) -> Trial:
    """Import ONNX Runtime from ``build``; ``folder`` takes what the process writes.

    Raises InstallationError if it does not work or is not the one that is imported; Cancelled.
    """
    result = folder / "trial.json"
    status = control.run(
        [*python.command, str(_PROGRAM), str(build), str(result)],
        cwd=folder,
        env={**python.environment, "PYTHONUTF8": "1", "ORT_DISABLE_TELEMETRY": "1"},
        hear=control.note,
    )
    try:
        found = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _useless(f"it crashes when it is loaded (status {status})") from error
    if found["problem"]:
        raise _useless(found["problem"])
    if not Path(found["file"]).resolve().is_relative_to(build.resolve()):
        raise _useless(f"{found['file']} is loaded in its place")
    return Trial(found["version"], tuple(found["providers"]))


def _useless(problem: str) -> InstallationError:
    if "numpy" in problem:
        hint = "Slicer's own numpy does not work: install 3D Slicer again."
    elif sys.platform == "win32":
        hint = "Install Microsoft's Visual C++ Redistributable, then try again."
    else:
        hint = "Copy the diagnostics for the details."
    return InstallationError(f"ONNX Runtime was fetched but does not work here: {problem}.", hint)
