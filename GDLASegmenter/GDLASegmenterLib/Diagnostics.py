"""What a report of a problem needs, and nothing about patients."""

from __future__ import annotations

import platform
import re
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

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
    to a program, for a folder may be called after a patient; so are the names of nodes, of
    proxies, and of servers, ``hosts``, which are nobody's business outside of their hospital.
    """
    told = _namesOf([*hosts, *_proxies()])
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
        f"Device: {told.sub('<server>', device)}",
        "Log:",
        *(
            told.sub("<server>", line)
            for text in log.splitlines()[-_LOG_LINES:]
            if (line := _withoutPaths(text, folders)) is not None
        ),
    ]
    return _withoutNames("\n".join(lines) + "\n")


def _namesOf(hosts: Iterable[str]) -> re.Pattern:
    """Return what finds the names of ``hosts``, but in no longer words: a server may be called "e".

    A name with a domain is found in that of a computer below it, too; a dot may end a sentence.
    """
    found = ["(?!)"]  # nothing, if there are no hosts
    for host in sorted(set(hosts), key=len, reverse=True):
        below = "" if "." in host else r"(?<!\w\.)"
        found.append(rf"(?<!\w)(?<!\w-){below}{re.escape(host)}(?!\w|[.-]\w)")
    return re.compile("|".join(found), re.IGNORECASE)


def _proxies() -> list[str]:
    """Return the hosts of the proxies that the system names; nobody is asked for them."""
    addresses = urllib.request.getproxies()
    addresses.pop("no", None)
    found = []
    for address in addresses.values():
        try:
            found.append(urlsplit(address if "//" in address else f"//{address}").hostname)
        except ValueError:
            continue
    return [host for host in found if host]


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
