"""How long the user interface does not react, measured in Qt's event loop as Slicer runs it."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pythonqt import signals
from pythonqt.binding import QtWidgets

_PAUSE_US = 1000

# Slicer's window keeps Python's lock while it waits for the user, unlike time.sleep.
_wait_with_the_lock = ctypes.PyDLL(None).usleep


@dataclass(frozen=True)
class Stretch:
    """Between two waits for the user: how long (s), how much of it the processor worked for it.

    ``slowest`` is the handler that took longest in it.
    """

    seconds: float
    processor_seconds: float
    slowest: str


class EventLoop:
    """Runs the event loop, or calls something in its place, and keeps how long each turn took.

    What other programs take of a busy machine is in ``seconds`` and not in ``processor_seconds``.
    """

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self._slowest = (0.0, "")

    @property
    def longest(self) -> Stretch:
        return max(self.stretches, key=lambda one: one.seconds)

    @property
    def longest_work(self) -> Stretch:
        return max(self.stretches, key=lambda one: one.processor_seconds)

    def run_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Handle events until the condition holds. AssertionError after some seconds."""
        deadline = time.monotonic() + seconds
        with self._watching_handlers():
            while not condition():
                assert time.monotonic() < deadline, f"not within {seconds} s"
                self._turn(QtWidgets.QApplication.processEvents)
                _wait_with_the_lock(_PAUSE_US)

    def call(self, name: str, work: Callable[[], object]) -> None:
        """Do what a click does."""
        with self._watching_handlers():
            self._slowest = (0.0, name)
            self._turn(work)

    def _turn(self, work: Callable[[], object]) -> None:
        begin, processor = time.perf_counter(), time.thread_time()
        work()
        seconds = time.perf_counter() - begin
        stretch = Stretch(seconds, time.thread_time() - processor, self._slowest[1])
        self.stretches.append(stretch)
        self._slowest = (0.0, "")

    @contextmanager
    def _watching_handlers(self) -> Iterator[None]:
        deliver = signals.deliver

        def watched(handler: Callable, arguments: tuple, where: str) -> None:
            begin = time.perf_counter()
            deliver(handler, arguments, where)
            name = f"{getattr(handler, '__qualname__', handler)} at {where}"
            self._slowest = max(self._slowest, (time.perf_counter() - begin, name))

        signals.deliver = watched
        try:
            yield
        finally:
            signals.deliver = deliver
