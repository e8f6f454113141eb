"""What the client does about a worker that dies, leaves or babbles."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_connection import DEATH, Clock, ScriptedClient, begin, warm_up
from worker_conversation import CARD, MODEL, bright_volume

from GDLACore.errors import EngineError
from GDLACore.options import SegmentOptions
from GDLACore.worker import Failed, LaunchError, Loaded, Phase, Stopped
from GDLACore.worker.connection import Broken, Gone
from GDLACore.worker.messages import Cancel, Leaving, Load, ModelReady, Refused, Segment
from GDLACore.worker.protocol import ProtocolError

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


def test_a_death_during_a_job_is_told_and_another_worker_made_as_warm(warm):
    job = begin(warm, bright_volume(), MODEL)
    warm.present.die()
    assert warm.poll() == [Failed(job, DEATH)]
    assert len(warm.workers) == 2 and not warm.busy
    (load,) = warm.present.asked
    assert isinstance(load, Load) and load.model == MODEL
    warm.present.greet()
    warm.present.say(Phase(load.job, "loading", 0, 1), ModelReady(load.job, CARD, "CPU"))
    assert warm.poll() == [Loaded(CARD, "CPU")]


def test_a_death_during_loading_is_told_and_that_model_is_not_tried_again(client):
    client.load(MODEL)
    client.present.greet()
    client.present.say(Phase(1, "loading", 0, 1))
    client.present.die()
    assert client.poll() == [Phase(None, "loading", 0, 1), Failed(None, DEATH)]
    assert len(client.workers) == 2 and client.present.asked == []


def test_a_model_that_was_ready_before_another_was_loaded_is_not_loaded_again(warm):
    warm.load(OTHER)
    warm.present.say(Phase(2, "loading", 0, 1))
    warm.present.die()
    warm.poll()
    assert warm.present.asked == []


def test_a_worker_that_dies_again_while_it_is_made_warm_is_left_at_that(warm, caplog):
    begin(warm, bright_volume(), MODEL)
    warm.present.die()
    warm.poll()
    warm.present.greet()
    warm.present.die()
    with caplog.at_level(logging.WARNING, "GDLACore.worker"):
        assert warm.poll() == []
    assert "could not be made ready again: The background process crashed" in caplog.text
    assert len(warm.workers) == 2
    warm.segment(bright_volume(), MODEL, SegmentOptions())
    assert len(warm.workers) == 3


def test_a_worker_that_dies_before_it_has_answered_is_not_started_again(client):
    client.load(MODEL)
    client.present.die()
    assert client.poll() == [Failed(None, DEATH)]
    job = client.segment(bright_volume(), MODEL, SegmentOptions())
    client.present.die()
    events = client.poll_until(lambda events: not client.busy)
    assert events[-1] == Failed(job, DEATH)
    assert len(client.workers) == 2


def test_a_start_that_fails_is_told_once(client):
    client.start()
    error = LaunchError("It could not be started.", "Check that it is there.")
    client.present.say(Gone(error))
    assert client.poll() == [Failed(None, error)]
    assert client.poll() == [] and len(client.workers) == 1
    client.start()
    assert len(client.workers) == 2


def test_a_death_while_nothing_was_going_on_bothers_nobody(warm):
    warm.present.die()
    assert warm.poll() == []
    assert len(warm.workers) == 1 and warm.pid is None
    warm.segment(bright_volume(), MODEL, SegmentOptions())
    assert len(warm.workers) == 2


def test_a_request_to_a_worker_that_had_died_unseen_goes_to_another(warm):
    warm.present.die()
    job = warm.segment(bright_volume(), MODEL, SegmentOptions())
    warm.poll_until(lambda events: len(warm.workers) == 2 and warm.present.asked)
    warm.poll()  # the rest of what is said of writing
    warm.present.greet()
    assert [request.job for request in warm.present.asked] == [job]
    warm.present.die()
    assert warm.poll() == [Failed(job, DEATH)]
    assert len(warm.workers) == 2, "one new attempt is enough"


def test_a_request_to_a_worker_that_was_just_leaving_goes_to_another(warm):
    job = warm.segment(bright_volume(), MODEL, SegmentOptions())
    first = warm.present
    warm.poll_until(lambda events: len(first.asked) == 2)
    warm.poll()  # the rest of what is said of writing
    first.leave()
    assert warm.poll() == []
    assert [request.job for request in warm.present.asked] == [job]
    assert not first.killed and warm.busy


def test_a_model_asked_of_a_worker_that_was_just_leaving_is_asked_of_another(warm):
    warm.load(OTHER)
    warm.present.leave()
    warm.poll()
    assert [request.model for request in warm.present.asked] == [OTHER]


def test_a_cancel_that_a_leaving_worker_did_not_read_reaches_the_next(warm):
    job = warm.segment(bright_volume(), MODEL, SegmentOptions())
    first = warm.present
    warm.poll_until(lambda events: len(first.asked) == 2)
    warm.poll()  # the rest of what is said of writing
    warm.cancel()
    first.leave()
    warm.poll()
    assert [type(request) for request in warm.present.asked] == [Segment, Cancel]
    warm.present.say(Stopped(job))
    assert warm.poll() == [Stopped(job)]


def test_a_worker_that_leaves_when_nothing_is_asked_of_it_is_not_replaced(warm):
    warm.present.say(Leaving())
    warm.present.die()
    assert warm.poll() == [] and len(warm.workers) == 1


@pytest.mark.parametrize("kind", [Broken, Refused])
def test_a_worker_that_is_not_understood_is_ended(warm, kind):
    job = begin(warm, bright_volume(), MODEL)
    first, error = warm.present, ProtocolError("is not JSON: b'x'")
    first.say(kind(error))
    assert warm.poll() == [Failed(job, error)]
    assert first.killed and len(warm.workers) == 2


def test_what_a_replaced_worker_still_says_is_not_heard(warm, clock):
    begin(warm, bright_volume(), MODEL)
    first = warm.present
    warm.cancel()
    clock.now += 1.6
    warm.poll()
    first.say(ModelReady(1, CARD, "CPU"))
    first.die()
    assert warm.poll() == [] and len(warm.workers) == 2


def test_the_log_of_the_one_before_is_kept(warm):
    begin(warm, bright_volume(), MODEL)
    warm.present.die()
    warm.poll()
    assert warm.log() == "log of 1001\nlog of 1002\n"


def test_a_model_given_back_is_not_loaded_again_after_a_death(warm):
    begin(warm, bright_volume(), MODEL)
    warm.unload()
    warm.present.die()
    warm.poll()
    assert warm.present.asked == []


def test_an_error_of_the_engine_is_no_reason_to_replace_the_worker(warm):
    job = begin(warm, bright_volume(), MODEL)
    warm.present.say(Failed(job, EngineError("There is not enough memory.")))
    warm.poll()
    assert len(warm.workers) == 1
