"""How a conversation with the worker begins and ends, and what is said in between by no one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from worker_conversation import (
    DEADLINE_S,
    HELLO,
    MODEL,
    Conversation,
    Gate,
    Models,
    SteppedEngine,
    bright_volume,
    segment_command,
)

from GDLACore.worker import server, warm_model
from GDLACore.worker.events import Stopped
from GDLACore.worker.messages import (
    VERSION,
    Greeting,
    Hello,
    Leaving,
    Load,
    ModelReady,
    Quit,
    Refused,
    SegmentFinished,
)
from GDLACore.worker.protocol import OtherVersion, ProtocolError


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


def test_a_line_that_is_no_command_is_refused_and_the_next_one_is_read(worker):
    worker.say(ProtocolError("is not JSON: b'x'"), Load(1, MODEL))
    refused = worker.hear()
    assert isinstance(refused, Refused) and "is not JSON: b'x'" in refused.error.message
    worker.hear_until(ModelReady)


def test_a_second_greeting_is_refused(worker):
    worker.say(HELLO)
    assert isinstance(worker.hear(), Refused)


def test_nothing_is_done_before_the_greeting(models):
    worker = Conversation(Load(1, MODEL), ProtocolError("is not JSON"), HELLO)
    assert [type(worker.hear()) for _ in range(3)] == [Refused, Refused, Greeting]
    assert worker.end() == []
    assert models.engines == []


def test_a_client_of_another_version_hears_which_version_this_is_and_then_no_more(models):
    worker = Conversation(OtherVersion(7))
    greeting, refused = worker.hear(), worker.hear()
    assert (greeting.version, type(refused)) == (VERSION, Refused)
    assert f"version 7 instead of {VERSION}" in refused.error.message
    assert worker.end() == []


def test_it_leaves_when_nothing_is_asked_for_long_and_closes_the_model(models):
    worker = Conversation(Hello(VERSION, idle_s=0.01), Load(1, MODEL))
    assert isinstance(worker.hear_until(Leaving)[-1], Leaving)
    assert worker.end() == []
    assert all(engine.closed for engine in models.engines)


def test_it_quits_after_what_was_asked_before(models, tmp_path):
    worker = Conversation(HELLO, segment_command(tmp_path, bright_volume()), Quit())
    worker.hear_until(SegmentFinished)
    worker.thread.join(DEADLINE_S)
    assert not worker.thread.is_alive()
    assert models.engines[0].closed
    worker.end()


def test_when_the_client_is_gone_it_says_so_and_ends_after_the_batch(models, tmp_path):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker = Conversation(HELLO, segment_command(tmp_path, bright_volume()))
    gate.reached()
    worker.say(None)
    assert worker.gone.wait(DEADLINE_S)
    gate.open()
    assert worker.end()[-1] == Stopped(1)
    assert models.engines[0].closed


def test_it_shows_life_while_it_computes_and_while_it_waits(models, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_HEARTBEAT_S", 0.001)
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker = Conversation(HELLO)
    worker.wait_for_life(3)
    worker.say(segment_command(tmp_path, bright_volume()))
    gate.reached()
    worker.wait_for_life(3)
    gate.open(3)
    worker.hear_until(SegmentFinished)
    worker.end()
