"""Work in a thread of its own, whose events the caller fetches when it likes: no Qt, no callbacks.

task = Task(lambda control: download(remote, folder, control))
for event in task.poll():      # from a timer, twenty times a second
    ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from GDLACore.errors import Cancelled, GDLAError
from GDLACore.storage.control import Control

Result = TypeVar("Result")

# Seconds after which a cancelled task counts as stopped even if its thread still waits for the
# system: looking up a host's name, for one, cannot be interrupted.
_CANCEL_S = 1.5

# Seconds for which each poll lets the thread have the interpreter. 3D Slicer keeps it for itself
# while it waits for the user, so that otherwise a thread would do one step at each poll: 50 MB over
# TLS take 9 s then, and 1 s so, at 20 polls a second.
_GIVEN_S = 0.01


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` bytes of ``phase``; ``total`` is None where nobody knows."""

    phase: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """The work is done; ``result`` is what it returned, such as the path of a downloaded file."""

    result: Result


@dataclass(frozen=True)
class Failed:
    """The work failed for a reason to show to the user."""

    error: GDLAError


@dataclass(frozen=True)
class Stopped:
    """The work was cancelled."""


Event = Progress | Finished | Failed | Stopped


class Task(Generic[Result]):
    """``work`` in a thread, started at once.

    All methods belong to one thread, such as that of a window. ``poll`` takes up to 10 ms and has
    to be called many times a second, for in Slicer the work goes on at no other time; ``close`` may
    wait for ``cancel_s``. Exactly one of Finished, Failed and Stopped ends the events.
    """

    def __init__(self, work: Callable[[Control], Result], *, cancel_s: float = _CANCEL_S) -> None:
        self._work = work
        self._cancel_s = cancel_s
        self._control = Control(self._note)
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._end: Event | None = None
        self._deadline: float | None = None
        self._over = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="GDLA task", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Return whether the last event is still to come."""
        return not self._over

    def poll(self) -> list[Event]:
        """Return what happened since the last call: at most the latest progress and the end."""
        self._ended.wait(0 if self._over else _GIVEN_S)
        with self._lock:
            events = [event for event in (self._progress, self._end) if event is not None]
            self._progress = None
            ended = self._end is not None
        if self._over:
            return []
        if not ended and self._deadline is not None and time.monotonic() >= self._deadline:
            events, ended = [Stopped()], True
        self._over = ended
        return events

    def cancel(self) -> None:
        """Ask the work to stop; Stopped follows, unless it was just finishing."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._cancel_s
            self._control.cancel()

    def close(self) -> None:
        """Stop the work if it is not done; no event comes after this."""
        self.cancel()
        self._thread.join(self._cancel_s)
        self._over = True

    def _note(self, phase: str, done: int, total: int | None) -> None:
        with self._lock:
            self._progress = Progress(phase, done, total)

    def _run(self) -> None:
        end = self._outcome()
        with self._lock:
            self._end = end
        self._ended.set()

    def _outcome(self) -> Event:
        try:
            return Finished(self._work(self._control))
        except Cancelled:
            return Stopped()
        except GDLAError as error:
            return Failed(error)
        except MemoryError:
            return Failed(GDLAError("There is not enough memory.", "Close other programs."))
        except Exception as error:
            return Failed(GDLAError(f"Unexpected {type(error).__name__}: {error}.", "Report it."))
