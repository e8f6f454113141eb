"""Installations as a window drives them, and Pythons for them that stand in for Slicer's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from GDLACore.installation import (
    Event,
    Failed,
    Finished,
    Installation,
    Line,
    RuntimeChoice,
    Step,
    Stopped,
)

PLAIN = RuntimeChoice("onnxruntime", "CPU", "No GPU was found.", ("onnxruntime>=1.23",), 1, 1)
CUDA = RuntimeChoice(
    "onnxruntime-gpu", "GPU (CUDA)", "It is fast.", ("onnxruntime-gpu[cuda,cudnn]>=1.28",), 1, 1
)

# Of the pip that is used here, which is not ours to choose.
PIP = tuple(int(part) for part in version("pip").split(".")[:2])

_DEADLINE_S = 60
_TIMER_S = 0.005


class Watched:
    """An installation that is polled by a timer, and all that was heard of it."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.events: list[Event] = []
        self._timer = threading.Event()

    def until(self, found: Callable[[], bool]) -> None:
        end = time.monotonic() + _DEADLINE_S
        while not found():
            assert time.monotonic() < end, self.events[-5:]
            self._timer.wait(_TIMER_S)
            self.events += self.installation.poll()

    def end(self) -> Finished | Failed | Stopped:
        """Return the last event."""
        self.until(lambda: not self.installation.active)
        assert self.installation.poll() == []
        others, last = self.events[:-1], self.events[-1]
        assert all(isinstance(event, Line | Step) for event in others)
        assert isinstance(last, Finished | Failed | Stopped)
        return last

    def finished(self) -> Finished:
        end = self.end()
        assert isinstance(end, Finished), (end, self.installation.log())
        return end

    def error(self) -> str:
        """Return what is shown to the user, message and hint."""
        end = self.end()
        assert isinstance(end, Failed), end
        for sentence in (end.error.message, end.error.hint):
            assert sentence[:1].strip() and sentence.endswith(".") and "\n" not in sentence
        return str(end.error)

    @property
    def phases(self) -> list[str]:
        """Return the phases in which it was, each once, in order."""
        return list(dict.fromkeys(event.phase for event in self.events if isinstance(event, Step)))


def launcher(folder: Path, program: str) -> list[str]:
    """Return a command that runs ``program``, which gets another program to run as Python does."""
    path = folder / "launcher.py"
    path.write_text(program, encoding="utf-8")
    return [sys.executable, str(path)]


# As Slicer's: a process that starts another and waits for it.
AS_SLICERS = """\
import subprocess, sys
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""

NOTING_ITS_NUMBER = """\
import os, pathlib, sys
pathlib.Path({path!r}).write_text(str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

WITHOUT_ROOM = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

OF_ANOTHER_VERSION = """\
import runpy, sys
sys.version_info = (3, 9, 1)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
