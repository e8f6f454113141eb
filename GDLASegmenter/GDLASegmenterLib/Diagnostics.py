"""What a report of a problem needs, and nothing about patients."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import slicer
import slicer.util

from GDLACore import __version__, resources

_LOG_LINES = 60
_SHORTEST_NAME = 4  # of a node; "CT" tells nothing, and is in many words


def diagnostics(
    runtime: str, runtimeFolder: Path, device: str, log: str, hosts: Iterable[str]
) -> str:
    """Return versions, the device and the end of the worker's log as text to paste.

    ``runtime`` says what is installed in ``runtimeFolder``. Paths are left out unless they belong
    to a program, for a folder may be called after a patient; so are the names of nodes, and
    ``hosts``, the names of servers, which are nobody's business outside of their hospital.
    """
    application = slicer.app
    folders = {
        "runtime": runtimeFolder,
        "GDLACore": Path(resources.__file__).parent,
        "Slicer": Path(application.slicerHome),
        "Python": Path(sys.prefix),
    }
    lines = [
        f"GDLASegmenter {__version__}",
        f"3D Slicer {application.applicationVersion} (revision {application.revision})",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"ONNX Runtime: {_withoutPaths(runtime, folders) or 'see the panel'}",
        f"Device: {device}",
        "Log:",
        *(_withoutPaths(line, folders) for line in log.splitlines()[-_LOG_LINES:]),
    ]
    text = "\n".join(line for line in lines if line is not None) + "\n"
    for host in sorted(hosts, key=len, reverse=True):
        text = re.sub(re.escape(host), "<server>", text, flags=re.IGNORECASE)
    return _withoutNames(text)


def _withoutPaths(line: str, folders: dict[str, Path]) -> str | None:
    """Return ``line`` with the programs' folders shortened, None if it has other paths."""
    for name, folder in folders.items():
        line = line.replace(str(folder), f"<{name}>")
    others = re.sub(r"<\w+>[^\s\"']*", "", line)
    return None if re.search(r"[/\\]", others) else line


def _withoutNames(text: str) -> str:
    nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
    for name in sorted({node.GetName() or "" for node in nodes}, key=len, reverse=True):
        if len(name) >= _SHORTEST_NAME:
            text = text.replace(name, "<node>")
    return text
