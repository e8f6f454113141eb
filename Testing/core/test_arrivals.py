"""Work in flight: what arrives comes at once, and nobody waits for what never does."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from GDLACore.arrivals import arrivals

DEADLINE_S = 60
SOON_S = 0.001


class Errands:
    """Tasks that return their number when a test lets them; ``begun`` are those that have begun."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.asked = 0
        self._changed = threading.Condition()
        self._released: dict[int, Exception | None] = {}

    def tasks(self, number: int | None = None) -> Iterator[Callable[[], int]]:
        for task in count() if number is None else range(number):
            self.asked += 1
            yield lambda task=task: self._run(task)

    def _run(self, task: int) -> int:
        with self._changed:
            self.begun.append(task)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: task in self._released, DEADLINE_S)
        if error := self._released[task]:
            raise error
        return task

    def release(self, *tasks: int, error: Exception | None = None) -> None:
        with self._changed:
            self._released.update(dict.fromkeys(tasks, error))
            self._changed.notify_all()

    def wait_for(self, begun: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= begun, DEADLINE_S)


Crew = Callable[[], set[threading.Thread]]


@pytest.fixture
def crew() -> Crew:
    """Return a function that returns the threads of this test; others may have left some."""
    others = in_flight_threads()
    return lambda: in_flight_threads() - others


def in_flight_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "gdla-in-flight"}


@pytest.fixture
def errands(crew: Crew) -> Iterator[Errands]:
    errands = Errands()
    yield errands
    errands.release(*range(errands.asked))
    for thread in crew():
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def after_the_first(
    errands: Errands, number: int | None, in_flight: Callable[[], int]
) -> Iterator[int | None]:
    """Return results of which the first has been taken, and others have begun."""
    results = arrivals(errands.tasks(number), in_flight, SOON_S)
    assert next(results) is None
    errands.wait_for(1)
    errands.release(0)
    assert next_result(results) == 0
    assert next(results) is None
    return results


def next_result(results: Iterator[int | None]) -> int:
    return next(result for result in results if result is not None)


def test_what_arrives_first_comes_first(errands):
    results = after_the_first(errands, 5, lambda: 3)
    for task in 3, 1, 4, 2:
        errands.release(task)
        assert next_result(results) == task
    assert list(results) == []


def test_the_first_goes_alone(errands):
    results = arrivals(errands.tasks(), lambda: 3, SOON_S)
    assert [next(results) for _ in range(4)] == [None] * 4
    assert errands.asked == 1
    results.close()


def test_no_more_are_in_flight_than_wanted_and_they_begin_in_their_order(errands):
    results = after_the_first(errands, None, lambda: 3)
    errands.wait_for(4)
    assert (sorted(errands.begun), errands.asked) == ([0, 1, 2, 3], 4)
    errands.release(2)
    assert next_result(results) == 2
    assert errands.asked == 4
    assert next(results) is None
    errands.wait_for(5)
    assert (sorted(errands.begun), errands.asked) == ([0, 1, 2, 3, 4], 5)
    results.close()


def test_a_caller_who_takes_nothing_is_not_swamped(errands):
    results = after_the_first(errands, None, lambda: 2)
    errands.release(*range(100))
    errands.wait_for(3)
    assert errands.asked == 3
    assert next_result(results) in (1, 2)
    assert errands.asked == 3
    assert next_result(results) in (1, 2, 3)
    assert errands.asked == 4
    results.close()


def test_the_number_in_flight_may_change_while_they_fly(errands):
    most = 4
    results = after_the_first(errands, None, lambda: most)
    most = 1
    for done, task in enumerate((1, 2, 3), 1):
        errands.release(task)
        assert next_result(results) == task
        assert next(results) is None
        assert errands.asked == 5, f"{done} of 4 have come"
    errands.release(4)
    assert next_result(results) == 4
    assert next(results) is None
    assert errands.asked == 6
    results.close()


def test_waiting_gives_the_caller_a_turn_again_and_again(errands):
    results = arrivals(errands.tasks(1), lambda: 1, SOON_S)
    assert [next(results) for _ in range(5)] == [None] * 5
    errands.release(0)
    assert next_result(results) == 0


def test_an_error_comes_while_others_are_still_in_flight_and_no_more_begin(errands):
    results = after_the_first(errands, None, lambda: 3)
    errands.release(2, error=ValueError("the server is gone"))
    with pytest.raises(ValueError, match="the server is gone"):
        list(results)
    assert list(results) == []
    errands.release(1, 3)
    assert errands.asked == 4


def test_an_error_in_giving_out_the_tasks_comes_too():
    def tasks() -> Iterator[Callable[[], int]]:
        yield lambda: 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(arrivals(tasks(), lambda: 2))


def test_closing_waits_for_nothing_and_begins_nothing(errands, crew):
    results = after_the_first(errands, None, lambda: 2)
    errands.wait_for(3)
    results.close()
    assert errands.asked == 3
    errands.release(1, 2)
    for thread in crew():
        thread.join(DEADLINE_S)
    assert sorted(errands.begun) == [0, 1, 2]


def test_threads_end_with_the_last_result_and_hold_nothing(crew):
    class Volume:
        pass

    volume = Volume()
    watch = weakref.ref(volume)

    def tasks(volume: Volume) -> Iterator[Callable[[], int]]:
        yield lambda: id(volume)
        yield lambda: id(volume)

    assert len(list(arrivals(tasks(volume), lambda: 1))) == 2
    del volume
    for thread in crew():
        thread.join(DEADLINE_S)
    gc.collect()
    assert watch() is None


def test_nothing_to_do_ends_at_once_and_starts_nothing(crew):
    assert list(arrivals(iter(()), lambda: 8)) == []
    assert crew() == set()
