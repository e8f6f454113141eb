"""How long work tells how far it is, and hears that it is to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from GDLACore.errors import Cancelled

# Called with the phase's name, what is done of it, and how much there is (None: not known).
OnProgress = Callable[[str, int, "int | None"], None]


def _ignore(phase: str, done: int, total: int | None) -> None:
    pass


class Control:
    """Shared by the thread that works and the one that may cancel it."""

    def __init__(self, on_progress: OnProgress = _ignore) -> None:
        self._on_progress = on_progress
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._interruptions: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; it raises Cancelled at its next step."""
        with self._lock:
            self._cancelled.set()
            for interrupt in self._interruptions:
                with suppress(OSError):
                    interrupt()

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Say how far the work is; raise Cancelled if it is to stop."""
        self.check()
        self._on_progress(phase, done, total)

    def check(self) -> None:
        """Raise Cancelled if the work is to stop."""
        if self.cancelled:
            raise Cancelled("Stopped.")

    def wait(self, seconds: float) -> None:
        """Wait; raise Cancelled as soon as the work is to stop."""
        self._cancelled.wait(seconds)
        self.check()

    @contextmanager
    def interrupted_by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call ``interrupt`` on cancellation, from the cancelling thread, to end a wait inside.

        What goes wrong inside because of that becomes Cancelled. Raises Cancelled at once if the
        work is to stop already.
        """
        with self._lock:
            self.check()
            self._interruptions.append(interrupt)
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._interruptions.remove(interrupt)
