"""Waiting for a server that may never answer, for as long as the user has the patience."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from GDLACore.arrivals import arrivals

_Result = TypeVar("_Result")


def awaited(
    work: Callable[[], _Result],
    stop_if_cancelled: Callable[[], None],
    too_late: Callable[[_Result], None] = lambda result: None,
) -> _Result:
    """Return what ``work``, done in a thread of its own, returns, or raise what it raises.

    ``stop_if_cancelled`` is called a few times a second. What it raises is raised here, and
    ``work`` left to itself: ``too_late`` is called, in either thread, with what it returns.
    """
    given_up = threading.Event()
    returned: deque[_Result] = deque()

    def begun() -> bool:
        returned.append(work())
        if given_up.is_set():
            forget()
        return True

    def forget() -> None:
        # Whichever thread comes first: the result may come in the very moment of giving up.
        try:
            result = returned.pop()
        except IndexError:
            return
        too_late(result)

    with closing(arrivals(iter([begun]), lambda: 1)) as results:
        try:
            for has_returned in results:
                if has_returned:
                    return returned.pop()
                stop_if_cancelled()
        finally:
            given_up.set()
            forget()
    raise AssertionError("work neither returned nor raised anything")
