"""A night with a server: it fails and comes back, or has another model in the morning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("PIL")
from cohorts import BrightEngine, study, write_study
from phantom import make_card

from GDLACore.cohort import worker
from GDLACore.cohort.plan import Study
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.errors import ServerError
from GDLACore.remote import fall_back
from GDLACore.remote.fall_back import EngineWithFallBack
from GDLACore.remote.troubles import Interruption, Refused, WrongAnswer

CARD = dataclasses.replace(make_card(), sha256="a" * 64)
GONE = Interruption("The server is gone.", "Try again.")
HERE = "The server is gone. Going on on this computer (CPU (test))."


class Remote(BrightEngine):
    """A server's; the next of ``errors`` is raised, if any, instead of an answer."""

    in_flight = 8

    def __init__(self, *errors: ServerError, **changes: object) -> None:
        super().__init__(dataclasses.replace(CARD, **changes))
        self.errors = list(errors)

    def describe(self) -> str:
        return "server (test)"

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.errors:
            raise self.errors.pop(0)
        return super().predict_with_confidence(slices, borders)


@pytest.fixture
def ct(tmp_path: Path) -> Study:
    return study(write_study(tmp_path / "ct.nii.gz"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list]:
    """Return a function that takes what is loaded one after the other, exceptions among it."""

    def give(*engines: object) -> list:
        left = list(engines)

        def load_engine(*_: object, **__: object) -> object:
            engine = left.pop(0)
            if isinstance(engine, Exception):
                raise engine
            return engine

        monkeypatch.setattr(worker, "load_engine", load_engine)
        return left

    return give


def test_studies_that_this_computer_does_say_so_and_the_server_is_asked_again_after_a_while(
    tmp_path, ct, opened, monkeypatch
):
    clock = [0.0]
    monkeypatch.setattr(fall_back, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    local = BrightEngine(CARD)

    class Failing(Remote):
        def predict_with_confidence(self, slices: np.ndarray, borders: str) -> object:
            clock[0] += 2
            raise GONE

    opened(EngineWithFallBack(lambda: Failing(), lambda: local), Remote())
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        assert at_work.describe() == "server (test)"
        begun = at_work.run(ct)
        clock[0] = 20
        second = at_work.run(ct)
        assert at_work.describe() == "the server failed: running on CPU (test)"
        assert not local.closed
        clock[0] = 60
        again = at_work.run(ct)
        assert at_work.describe() == "server (test)"
    assert local.closed
    assert [record.status for record in (begun, second, again)] == ["done"] * 3
    assert [record.warnings for record in (begun, second, again)] == [(HERE,), (HERE,), ()]
    assert begun.output_sha256 == again.output_sha256


def test_a_run_that_begins_without_its_server_says_so_with_every_study(tmp_path, ct, monkeypatch):
    def open_remote() -> object:
        raise GONE

    def load_engine(*_: object, **__: object) -> EngineWithFallBack:
        return EngineWithFallBack(open_remote, lambda: BrightEngine(CARD))

    monkeypatch.setattr(worker, "load_engine", load_engine)
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        assert [at_work.run(ct).warnings for _ in range(2)] == [(HERE,), (HERE,)]


@pytest.mark.parametrize(
    "error",
    [
        Refused("The server refuses what it was asked.", "See which models it has.", 404),
        WrongAnswer("The server has another model than it should.", "Segment again."),
    ],
)
def test_a_server_that_went_on_to_another_version_costs_one_study(tmp_path, ct, opened, error):
    first, second = Remote(error), Remote(title="Belly")
    opened(first, second)
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        failed, done = at_work.run(ct), at_work.run(ct)
        assert failed.error == str(error) and first.closed
        assert failed.error_kind == "ServerError"  # by which a run knows that no study is to blame
        assert done.done and second.card == at_work.card == CARD


def test_a_server_that_is_gone_for_a_while_is_not_loaded_again(tmp_path, ct, opened):
    left = opened(engine := Remote(GONE), Remote())
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        assert [at_work.run(ct).status for _ in range(2)] == ["failed", "done"]
        assert not engine.closed and len(left) == 1


@pytest.mark.parametrize("changes", [{"sha256": "b" * 64}, {"version": "9"}])
def test_another_model_in_the_morning_does_no_study_of_the_run(tmp_path, ct, opened, changes):
    other, right = Remote(**changes), Remote()
    opened(Remote(Refused("No.", "", 404)), other, GONE, right)
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        at_work.run(ct)
        refused, gone, done = (at_work.run(ct) for _ in range(3))
    assert "not the one that the run began with" in refused.error and other.closed
    assert "The server is gone" in gone.error
    assert done.done and right.closed


def test_weights_that_a_server_does_not_tell_are_taken_for_the_same(tmp_path, ct, opened):
    opened(Remote(Refused("No.", "", 404)), Remote(sha256=None))
    with StudyWorker(BatchSettings(tmp_path / "out")) as at_work:
        assert [at_work.run(ct).status for _ in range(2)] == ["failed", "done"]
