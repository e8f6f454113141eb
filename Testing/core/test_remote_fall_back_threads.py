"""Going on on this computer while others predict, close, or have stopped waiting."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest

from GDLACore.arrivals import arrivals
from GDLACore.errors import ServerError
from GDLACore.remote.fall_back import EngineWithFallBack
from GDLACore.remote.troubles import Interruption, WrongAnswer

DEADLINE_S = 30


@dataclasses.dataclass
class Double:
    """An engine of which ``answer`` is called with the slices."""

    answer: Callable[[object], object]
    sha256: str | None = None
    closed: bool = False

    @property
    def card(self) -> SimpleNamespace:
        return SimpleNamespace(sha256=self.sha256)

    def predict(self, slices: object, borders: str) -> object:
        return self.answer(slices)

    def use_card(self, card: object) -> None:
        pass

    def describe(self) -> str:
        return "CPU (test)"

    def close(self) -> None:
        self.closed = True


def gone(slices: object) -> object:
    raise Interruption("The server is gone.", "Try again.")


def here(slices: object) -> str:
    return f"{slices} here"


def test_an_engine_that_is_closed_while_the_local_one_is_opened_leaves_none_behind():
    opening, go_on, local = threading.Event(), threading.Event(), Double(here)

    def open_local() -> Double:
        opening.set()
        assert go_on.wait(DEADLINE_S)
        return local

    engine = EngineWithFallBack(lambda: Double(gone), open_local)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.predict, 1, "smooth")
        assert opening.wait(DEADLINE_S)
        engine.close()  # it does not wait for the opening
        go_on.set()
        with pytest.raises(ServerError, match="is gone"):
            waiting.result(DEADLINE_S)
    assert local.closed


def test_an_engine_that_is_closed_opens_no_other():
    def closing(slices: object) -> object:
        engine.close()
        return gone(slices)

    opened = []
    engine = EngineWithFallBack(lambda: Double(closing), lambda: opened.append(1))
    with pytest.raises(ServerError, match="is gone"):
        engine.predict(1, "smooth")
    assert not opened


def test_a_wrong_answer_is_an_error_even_if_another_thread_has_fallen_back_meanwhile():
    both, fallen_back = threading.Barrier(2, timeout=DEADLINE_S), threading.Event()

    def answer(slices: object) -> object:
        both.wait()
        if slices == "gone":
            return gone(slices)
        assert fallen_back.wait(DEADLINE_S)
        raise WrongAnswer("The network's results are not finite numbers.", "Check the image.")

    engine = EngineWithFallBack(lambda: Double(answer), lambda: Double(here))
    with ThreadPoolExecutor(1) as pool:
        wrong = pool.submit(engine.predict, "NaN", "smooth")
        assert engine.predict("gone", "smooth") == "gone here"
        fallen_back.set()
        with pytest.raises(WrongAnswer, match="not finite"):
            wrong.result(DEADLINE_S)


def test_the_local_engine_works_for_one_thread_at_a_time():
    together, met = threading.Barrier(2), []

    def answer(slices: object) -> object:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.2)
            met.append(slices)
        return here(slices)

    engine = EngineWithFallBack(lambda: Double(gone), lambda: Double(answer))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda slices: engine.predict(slices, "smooth"), "ab"))
    assert (results, met) == (["a here", "b here"], [])


def test_who_does_not_wait_any_more_opens_no_other_engine():
    asked, go_on, ended, opened = *(threading.Event() for _ in range(3)), []

    def answer(slices: object) -> object:
        asked.set()
        assert go_on.wait(DEADLINE_S)
        return gone(slices)

    def predict() -> object:
        try:
            return engine.predict(1, "smooth")
        finally:
            ended.set()

    engine = EngineWithFallBack(lambda: Double(answer), lambda: opened.append(1))
    results = arrivals(iter([predict]), lambda: 1)
    assert next(results) is None
    assert asked.wait(DEADLINE_S)
    results.close()
    go_on.set()
    assert ended.wait(DEADLINE_S)
    assert not opened and engine.warning == ""


def test_the_warning_can_be_read_for_as_long_as_this_computer_works(caplog):
    engine = EngineWithFallBack(lambda: Double(gone), lambda: Double(here))
    assert engine.warning == ""
    engine.predict(1, "smooth")
    assert engine.warning == "The server is gone. Going on on this computer (CPU (test))."
    assert [record.getMessage() for record in caplog.records] == [engine.warning]


@pytest.mark.parametrize(
    ("there", "known", "local"), [("a", None, "b"), (None, "a", "b"), ("a", "b", None)]
)
def test_other_weights_here_than_on_the_server_are_an_error(there, known, local):
    here_now = Double(here, local)
    engine = EngineWithFallBack(lambda: Double(gone, there), lambda: here_now, known)
    with pytest.raises(ServerError, match="is gone") as caught:
        engine.predict(1, "smooth")
    assert "not the server's any more" in caught.value.hint
    assert here_now.closed and engine.warning == ""


@pytest.mark.parametrize(("there", "known"), [("a", "b"), (None, "a"), (None, None)])
def test_the_server_s_weights_here_are_gone_on_with(there, known):
    engine = EngineWithFallBack(lambda: Double(gone, there), lambda: Double(here, "a"), known)
    assert engine.predict(1, "smooth") == "1 here"
