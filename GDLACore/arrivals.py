"""Work that waits for something far away: several at a time, and what comes back as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

_Result = TypeVar("_Result")

# Whoever waits looks up as often, to see whether the user has cancelled: that is to take less than
# half a second.
TICK_S = 0.2

_thread = threading.local()


def arrivals(
    tasks: Iterator[Callable[[], _Result]], in_flight: Callable[[], int], tick_s: float = TICK_S
) -> Iterator[_Result | None]:
    """Yield what ``tasks`` return in the order of arrival, and None while nothing arrives.

    At most ``in_flight()`` of them, which is asked each time that more could begin, run at a time,
    in threads of their own. They begin in their order, and the first alone: it is the one that
    somebody waits for, and would have to share what is far away with those behind it. Results hold
    their place until the caller has dealt with them: a slow one is never swamped. None comes about
    every ``tick_s`` seconds.

    Raises what a task raises, as soon as that is known. Then, and when it is closed, it begins no
    more, waits for none of those that have begun, and forgets what they return.
    """
    crew: _Crew[_Result] = _Crew()
    try:
        first = True
        while True:
            crew.fill(tasks, 1 if first else in_flight())
            if not crew.outstanding:
                return
            try:
                result = crew.arrival(tick_s)
                first = False
            except Empty:
                result = None
            yield result
    finally:
        crew.dismiss()


def is_awaited() -> bool:
    """Return whether anybody wants what this thread does: not if ``arrivals`` ended meanwhile."""
    crew = getattr(_thread, "crew", None)
    return crew is None or not crew.dismissed


class _Crew(Generic[_Result]):
    """As many threads as there are tasks at a time; everything is called on one other thread."""

    def __init__(self) -> None:
        self.outstanding = 0
        self.dismissed = False
        self._threads = 0
        self._waiting: SimpleQueue[Callable[[], _Result] | None] = SimpleQueue()
        self._arrived: SimpleQueue[tuple[_Result | None, BaseException | None]] = SimpleQueue()

    def fill(self, tasks: Iterator[Callable[[], _Result]], most: int) -> None:
        """Begin some of ``tasks``, so that ``most`` are outstanding."""
        while self.outstanding < most and (task := next(tasks, None)) is not None:
            self.outstanding += 1
            self._waiting.put(task)
            if self._threads < self.outstanding:
                self._threads += 1
                # A daemon: the interpreter must not wait for a server that never answers.
                threading.Thread(target=self._work, name="gdla-in-flight", daemon=True).start()

    def arrival(self, patience_s: float) -> _Result:
        """Return the next result or raise its error; Empty if none came in ``patience_s``."""
        result, error = self._arrived.get(timeout=patience_s)
        self.outstanding -= 1
        if error is not None:
            raise error
        return result

    def dismiss(self) -> None:
        """Let the threads end, each with what it is doing."""
        self.dismissed = True
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        _thread.crew = self
        while (task := self._waiting.get()) is not None and not self.dismissed:
            try:
                found = task(), None
            except BaseException as error:  # of any kind: nobody else would hear of it
                found = None, error
            self._arrived.put(found)
            del task, found  # it holds a volume
