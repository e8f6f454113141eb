"""When the worker, having gone on without a server, asks it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from worker_conversation import (
    HELLO,
    MODEL,
    Conversation,
    Models,
    SteppedEngine,
    bright_volume,
    segment_command,
)

from GDLACore.errors import ServerError
from GDLACore.remote import RemoteServer, fall_back
from GDLACore.worker import warm_model
from GDLACore.worker.events import PreviewDone, Warned
from GDLACore.worker.messages import Greeting, Preview, SegmentFinished

REMOTE = replace(MODEL, server=RemoteServer("https://gpu.hospital.org", fall_back=True))
FAILURE_S = 2.0


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    models = Models()
    monkeypatch.setattr(warm_model, "load_engine", models)
    return models


@pytest.fixture
def worker(models: Models) -> Iterator[Conversation]:
    worker = Conversation(HELLO)
    assert isinstance(worker.hear(), Greeting)
    yield worker
    worker.end()


def test_a_server_that_failed_is_tried_again_after_a_while_and_not_with_every_volume(
    worker: Conversation, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(fall_back, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def open_remote() -> SteppedEngine:
        clock[0] += FAILURE_S
        raise ServerError("The server gpu.hospital.org is gone.", "Try again.")

    def device(job: int, seconds: float) -> str:
        clock[0] = seconds
        worker.say(replace(segment_command(tmp_path, bright_volume(), job), model=REMOTE))
        return worker.hear_until(SegmentFinished)[-1].device

    models.load = lambda: fall_back.EngineWithFallBack(open_remote, SteppedEngine)
    for job, (seconds, loaded) in enumerate(((0, 1), (21, 1), (23, 2), (24, 2)), 1):
        assert device(job, seconds) == "the server failed: running on CPU (test)"
        assert len(models.engines) == loaded
    models.load = SteppedEngine
    clock[0] = 60
    volume = segment_command(tmp_path, bright_volume(), 9).volume
    worker.say(Preview(5, REMOTE, volume, (2,), "smooth"))
    worker.hear_until(PreviewDone)
    assert len(models.engines) == 2  # who scrolls does not wait for a server that may be silent
    assert device(6, 60) == "CPU (test)"


GONE = "The server gpu.hospital.org is gone. Going on on this computer (CPU (test))."


class Local(SteppedEngine):
    """This computer's."""

    def use_card(self, card: object) -> None:
        assert card == self.card


class Gone(SteppedEngine):
    """A server that fails as soon as it is asked."""

    def predict(self, slices: object, borders: str) -> object:
        raise ServerError("The server gpu.hospital.org is gone.", "Try again.")


def warnings(reports: list[object]) -> list[str]:
    return [report.message for report in reports if isinstance(report, Warned)]


def test_every_volume_that_this_computer_does_instead_says_so_once(
    worker: Conversation, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fall_back.EngineWithFallBack, "should_be_opened_again", False)
    models.load = lambda: fall_back.EngineWithFallBack(Gone, Local)
    for job in (1, 2, 3):
        worker.say(replace(segment_command(tmp_path, bright_volume(), job), model=REMOTE))
        assert warnings(worker.hear_until(SegmentFinished)) == [GONE]
    assert len(models.engines) == 1


def test_a_volume_is_told_that_the_preview_before_it_has_fallen_back(
    worker: Conversation, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fall_back.EngineWithFallBack, "should_be_opened_again", False)
    models.load = lambda: fall_back.EngineWithFallBack(Gone, Local)
    command = replace(segment_command(tmp_path, bright_volume(), 2), model=REMOTE)
    worker.say(Preview(1, REMOTE, command.volume, (2,), "smooth"))
    worker.hear_until(PreviewDone)
    worker.say(command)
    assert warnings(worker.hear_until(SegmentFinished)) == [GONE]


def test_the_preview_of_every_volume_is_told_that_this_computer_does_it_instead(
    worker: Conversation, models: Models, tmp_path: Path
) -> None:
    models.load = lambda: fall_back.EngineWithFallBack(Gone, Local)
    for job, name in enumerate(("first", "second", "second"), 1):
        folder = tmp_path / f"{name}-{job}"
        folder.mkdir()
        volume = segment_command(folder, bright_volume(), job).volume
        worker.say(Preview(job, REMOTE, volume, (2,), "smooth"))
        assert warnings(worker.hear_until(PreviewDone)) == [GONE]
    models.load = SteppedEngine
    worker.say(Preview(4, MODEL, volume, (2,), "smooth"))
    assert warnings(worker.hear_until(PreviewDone)) == []
