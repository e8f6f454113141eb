"""How long the client waits for a worker that does not stop, start or say anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_connection import Clock, ScriptedClient, begin, warm_up
from worker_conversation import CARD, MODEL, bright_volume

from GDLACore.errors import WorkerError
from GDLACore.worker import Phase, Stopped

OTHER = replace(MODEL, device="cuda")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> Iterator[ScriptedClient]:
    client = ScriptedClient(tmp_path, silence_s=30, cancel_s=1.5)
    yield client
    client.close()


@pytest.fixture
def warm(client: ScriptedClient) -> ScriptedClient:
    """A client whose worker has a model ready."""
    warm_up(client, MODEL, CARD)
    return client


def wait(client: ScriptedClient, clock: Clock, seconds: float) -> list:
    """Let time pass, polling as a timer does, without a word from the worker."""
    events = []
    for _ in range(int(10 * seconds)):
        clock.now += 0.1
        events += client.poll()
    return events


def test_a_worker_that_does_not_stop_is_killed_in_time_and_another_made_as_warm(warm, clock):
    job = begin(warm, bright_volume(), MODEL)
    first = warm.present
    warm.cancel()
    clock.now += 1.4
    assert warm.poll() == [] and not first.killed
    clock.now += 0.2
    assert warm.poll() == [Stopped(job)]
    assert first.killed and not warm.busy
    assert [request.model for request in warm.present.asked] == [MODEL]


def test_asking_again_to_stop_does_not_put_it_off(warm, clock):
    job = begin(warm, bright_volume(), MODEL)
    warm.cancel()
    clock.now += 1.4
    warm.cancel()
    clock.now += 0.2
    assert warm.poll() == [Stopped(job)]


def test_a_model_that_takes_too_long_to_stop_loading_is_not_loaded_again(warm, clock):
    warm.load(OTHER)
    warm.present.say(Phase(2, "loading", 0, 1))
    warm.cancel()
    clock.now += 1.6
    assert warm.poll() == [Phase(None, "loading", 0, 1), Stopped(None)]
    assert len(warm.workers) == 2 and warm.present.asked == []


def test_a_worker_that_stopped_in_time_is_not_killed_later(warm, clock):
    job = begin(warm, bright_volume(), MODEL)
    warm.cancel()
    warm.present.say(Stopped(job))
    warm.poll()
    clock.now += 10
    assert warm.poll() == [] and not warm.present.killed


def test_a_worker_that_dies_of_being_cancelled_has_stopped(warm):
    job = begin(warm, bright_volume(), MODEL)
    warm.cancel()
    warm.present.die()
    assert warm.poll() == [Stopped(job)]


def test_a_worker_that_falls_silent_is_told_killed_and_replaced(warm, clock):
    job = begin(warm, bright_volume(), MODEL)
    first = warm.present
    assert wait(warm, clock, 29) == []
    (failed,) = wait(warm, clock, 2)
    assert (failed.job, type(failed.error)) == (job, WorkerError)
    assert failed.error.message == "The background process has not answered for 30 seconds."
    assert first.killed and len(warm.workers) == 2


def test_a_sign_of_life_is_enough(warm, clock):
    begin(warm, bright_volume(), MODEL)
    for _ in range(3):
        assert wait(warm, clock, 29) == []
        warm.present.heard += 1
        assert warm.poll() == []
    assert not warm.present.killed


def test_time_in_which_nobody_listened_does_not_count_as_silence(warm, clock):
    begin(warm, bright_volume(), MODEL)
    clock.now += 3600  # the computer slept
    assert warm.poll() == []
    assert wait(warm, clock, 28) == []
    assert len(wait(warm, clock, 3)) == 1


def test_loading_and_starting_are_given_longer(client, clock):
    client.load(MODEL)
    assert wait(client, clock, 50) == []
    client.present.greet()
    client.present.say(Phase(1, "loading", 0, 1))
    assert len(wait(client, clock, 50)) == 1
    failed = wait(client, clock, 12)[-1]
    assert failed.error.message == "The background process has not answered for 60 seconds."


def test_a_worker_that_never_answers_is_told(client, clock):
    client.start()
    (failed,) = wait(client, clock, 61)
    assert (failed.job, failed.error.message) == (
        None,
        "The background process did not start within 60 seconds.",
    )
    assert client.present.killed
