"""What a report of a problem needs, and nothing about patients."""

from __future__ import annotations

import platform

import slicer

from GDLACore import __version__

_LOG_LINES = 60


def diagnostics(runtime: str, device: str, log: str) -> str:
    """Return versions, the device and the end of the worker's log as text to paste.

    Of the log, lines that name a file are left out: a path may hold a patient's name.
    """
    application = slicer.app
    lines = [
        f"GDLASegmenter {__version__}",
        f"3D Slicer {application.applicationVersion} (revision {application.revision})",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"ONNX Runtime: {_withoutPath(runtime)}",
        f"Device: {device}",
        "Log:",
        *(line for line in log.splitlines()[-_LOG_LINES:] if not _namesFile(line)),
    ]
    return "\n".join(lines) + "\n"


def _withoutPath(text: str) -> str:
    return text.partition(" in ")[0]


def _namesFile(line: str) -> bool:
    """Return whether ``line`` may name a file of the user's; our own program's are no secret."""
    return ("/" in line or "\\" in line) and "GDLACore" not in line
