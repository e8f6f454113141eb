"""A client as Slicer uses it, polled by a timer, and how long what it says took."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from GDLACore.errors import GDLAError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Event,
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    Stopped,
    WorkerClient,
)
from GDLACore.worker.messages import Greeting

HERE = Path(__file__).resolve().parent

DEADLINE_S = 60
_TIMER_S = 0.005

ENDS = (Loaded, Finished, Stopped, Failed)

NO_SENSE = "Slicer and its background process do not understand each other: a message"

MODEL = ModelRequest("/models/any.onnx", device="cpu")
SLOW_MODEL = ModelRequest("/models/slow.onnx", device="cpu")
HARMLESS = SegmentOptions()
FAULTY = SegmentOptions(borders="published")


def faulty_worker(fault: str) -> tuple[str, ...]:
    """Return the command of a worker with ``fault``; see faulty_worker.py."""
    return sys.executable, str(HERE / "faulty_worker.py"), fault


def ct(shape: tuple[int, int, int] = (6, 7, 8)) -> Volume:
    """Return air with a block of bone."""
    array = np.full(shape, -1000, np.int16)
    array[1:3, 2:4, 3:5] = 1000
    return Volume(array, np.eye(4), "CT 5", "CT")


class Observer:
    """Drives a client, and keeps what it hears and the processes that have greeted it."""

    def __init__(
        self, client: Callable[..., WorkerClient] = WorkerClient, **settings: object
    ) -> None:
        self.client = client(**settings)
        self.pids: set[int] = set()
        self.events: list[Event] = []
        self._heard = 0
        self._timer = threading.Event()
        self._folder = Path(settings.get("folder") or tempfile.gettempdir())
        self._worker = self.client._worker
        # Not by looking at the client's, for a worker may come and go between two looks.
        self._worker._heeded = self._heeded

    def _heeded(self, report: object) -> Iterator[object]:
        if isinstance(report, Greeting):
            self.pids.add(report.pid)
        return type(self._worker)._heeded(self._worker, report)

    def until(self, found: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
        """Poll until ``found()``."""
        end = time.monotonic() + deadline_s
        while not found():
            assert time.monotonic() < end, f"{self.events[-5:]}\n{self.client.log()}"
            self._timer.wait(_TIMER_S)
            self.events += self.client.poll()

    def heard(self, *kinds: type[Event]) -> Event:
        """Return the next event of one of ``kinds``, after the one returned last."""

        def found() -> bool:
            while self._heard < len(self.events):
                self._heard += 1
                if isinstance(self.events[self._heard - 1], kinds):
                    return True
            return False

        if not found():
            self.until(found)
        return self.events[self._heard - 1]

    def at_fault(self) -> Path:
        """Poll until the worker has come to its fault; return the folder that it is in."""

        def found() -> list[Path]:
            return list(self._folder.glob(f"GDLA-session-*/fault-{self.client.pid}"))

        self.until(found)
        return found()[0].parent

    def bear_silence(self, silence_s: float) -> None:
        """Give the worker so long between two signs of life from now on."""
        self._worker._silence_s = silence_s

    def hear_signs_of_life(self, count: int) -> None:
        """Poll until there were so many more."""
        worker = self._worker.start()
        enough = worker.heard + count
        self.until(lambda: worker.heard >= enough)

    def forget(self) -> None:
        """Keep nothing of what has happened so far."""
        self.events.clear()
        self._heard = 0

    def ends(self) -> Event:
        """Poll until what is going on ends and return how."""
        return self.heard(*ENDS)

    def segment(
        self,
        options: SegmentOptions = HARMLESS,
        volume: Volume | None = None,
        model: ModelRequest = MODEL,
    ) -> Event:
        """Segment and return how it ended."""
        self._heard = len(self.events)
        self.client.segment(volume or ct(), model, options)
        return self.ends()

    def error(self) -> GDLAError:
        """Segment with the fault and return the error that it ended in."""
        failed = self.segment(FAULTY)
        assert isinstance(failed, Failed), failed
        return failed.error


def is_running(pid: int) -> bool:
    """Return whether there is such a process; one that nobody has waited for does not count."""
    try:
        os.kill(pid, 0)
        return not Path("/proc/self").exists() or _state(pid) != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def is_halted(pid: int) -> bool:
    """Return whether the process stands still, on Linux."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(found: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Look again and again until ``found()``, for what happens in other processes."""
    end, timer = time.monotonic() + deadline_s, threading.Event()
    while not found():
        assert time.monotonic() < end
        timer.wait(_TIMER_S)
