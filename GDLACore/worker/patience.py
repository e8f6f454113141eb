"""Waiting for a server that may never answer, for as long as the user has the patience."""

from __future__ import annotations

import threading
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
    ``work`` left to itself: ``too_late`` is called, in its thread, with what it returns then.
    """
    given_up = threading.Event()

    def begun() -> tuple[_Result]:
        result = work()
        if given_up.is_set():
            too_late(result)
        return (result,)

    with closing(arrivals(iter([begun]), lambda: 1)) as results:
        try:
            for result in results:
                if result is not None:
                    return result[0]
                stop_if_cancelled()
        finally:
            given_up.set()
    raise AssertionError("work neither returned nor raised anything")
