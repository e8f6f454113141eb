"""What the client knows of a worker, whether that is a process or a thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from GDLACore.errors import WorkerError
from GDLACore.worker.messages import Command, Report


class LaunchError(WorkerError):
    """No process can be started; segmenting in this one, ``InProcessClient``, may work."""


@dataclass(frozen=True)
class Broken:
    """Something came that was no message: nothing more can be believed."""

    error: WorkerError


@dataclass(frozen=True)
class Gone:
    """The worker has ended; ``error`` says how."""

    error: WorkerError


class Connection(Protocol):
    """A worker that has been started, or is being started in the background.

    ``reports`` ends with ``Gone``. ``heard`` rises with every sign of life. ``ended`` is set when
    nothing of the worker is left.
    """

    reports: SimpleQueue[Report | Broken | Gone]
    heard: int
    ended: threading.Event

    @property
    def log(self) -> str:
        """Return the last of what it wrote to stderr."""

    def send(self, command: Command) -> None:
        """Have ``command`` sent; returns at once. May be called from any thread."""

    def kill(self) -> None:
        """End it, whatever it is doing; returns at once."""

    def close(self, patience_s: float) -> None:
        """Ask it to end and wait; after ``patience_s`` seconds kill it and wait as long again."""
