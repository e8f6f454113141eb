"""One thread for what may take its time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Background:
    """Does one thing after the other in a thread, which begins with the first of them.

    Not a thread for each: starting one waits for it, and that for Python's lock, for milliseconds.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def begun(self) -> bool:
        """Return whether anything was ever to be done."""
        return self._thread is not None

    def do(self, task: Callable[[], None]) -> None:
        """Have ``task``, which must not raise anything, done; returns at once."""
        self._tasks.put(task)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="gdla-files", daemon=True)
            self._thread.start()

    def close(self, patience_s: float) -> None:
        """Have nothing done after what was asked for; wait for that, but not for ever."""
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join(patience_s)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # it holds a volume
