"""Waiting for what may never come: it is given up at once, and nothing is lost that comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from GDLACore.errors import Cancelled
from GDLACore.worker import patience
from GDLACore.worker.patience import awaited

DEADLINE_S = 60


def cancel() -> None:
    raise Cancelled("Stopped.")


def test_what_is_awaited_comes_and_is_not_too_late():
    late: list[int] = []
    assert awaited(lambda: 7, lambda: None, late.append) == 7
    assert late == []


def test_what_comes_after_it_was_given_up_is_too_late():
    go_on, closed = threading.Event(), threading.Event()

    def work() -> int:
        assert go_on.wait(DEADLINE_S)
        return 7

    late: list[int] = []

    def too_late(result: int) -> None:
        late.append(result)
        closed.set()

    with pytest.raises(Cancelled):
        awaited(work, cancel, too_late)
    assert late == []
    go_on.set()
    assert closed.wait(DEADLINE_S)
    assert late == [7]


def test_what_comes_in_the_very_moment_of_giving_up_is_too_late(monkeypatch):
    def just_then(
        tasks: Iterator[Callable[[], object]], in_flight: Callable[[], int]
    ) -> Iterator[None]:
        next(tasks)()  # it has returned, and nobody has heard of it yet
        yield None

    late: list[int] = []
    monkeypatch.setattr(patience, "arrivals", just_then)
    with pytest.raises(Cancelled):
        awaited(lambda: 7, cancel, late.append)
    assert late == [7]


def test_what_it_raises_is_raised_here():
    def fail() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        awaited(fail, lambda: None)
