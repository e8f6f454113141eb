"""The same client with its worker in a thread, for where no process can be started."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from worker_conversation import (
    CARD,
    DEADLINE_S,
    MODEL,
    Gate,
    Models,
    SteppedEngine,
    bright_volume,
    wait_for,
)

from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Event,
    Failed,
    Finished,
    InProcessClient,
    Loaded,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    warm_model,
)

ALL = SegmentOptions()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    models = Models()
    monkeypatch.setattr(warm_model, "load_engine", models)
    return models


@pytest.fixture
def client(tmp_path: Path, models: Models) -> Iterator[InProcessClient]:
    client = InProcessClient(folder=tmp_path, cancel_s=0.05)
    yield client
    client.close()
    assert list(tmp_path.iterdir()) == []


def heard(client: InProcessClient, *kinds: type[Event]) -> list[Event]:
    """Poll until an event of one of ``kinds`` and return all up to then."""
    events, waited = [], threading.Event()
    for _ in range(DEADLINE_S * 1000):
        events += client.poll()
        if any(isinstance(event, kinds) for event in events):
            return events
        waited.wait(0.001)
    raise AssertionError(f"only this has happened: {events}")


def test_a_model_is_loaded_and_a_volume_segmented(client):
    client.load(MODEL)
    assert heard(client, Loaded)[-1] == Loaded(CARD, "CPU (test)")
    job = client.segment(bright_volume(), MODEL, ALL)
    events = heard(client, Finished)
    (started,) = (event for event in events if isinstance(event, Started))
    assert events[-1].job == started.job == job
    np.testing.assert_array_equal(started.labels, bright_volume().array > 0)
    assert client.pid == os.getpid()


def test_slices_are_shown_with_labels_that_nobody_can_change(client):
    job = client.preview(bright_volume(), MODEL, [2, 5], "smooth", key="a")
    first, second = (e for e in heard(client, PreviewDone) if isinstance(e, Previewed))
    assert (first.job, first.index, second.index) == (job, 2, 5)
    np.testing.assert_array_equal(first.labels, bright_volume().array[2] > 0)
    with pytest.raises(ValueError, match="read-only"):
        first.labels[:] = 1


def test_a_batch_that_does_not_end_is_left_alone_and_the_next_request_works(client, models):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    job = client.segment(bright_volume(), MODEL, ALL)
    gate.open()
    heard(client, SlicesDone)
    gate.reached()
    gate.reached()
    models.load = SteppedEngine
    client.cancel()
    assert heard(client, Stopped)[-1] == Stopped(job)
    client.segment(bright_volume(), MODEL, ALL)
    heard(client, Finished)
    gate.open()
    wait_for(lambda: models.engines[0].closed)


def test_an_error_in_the_engine_is_told(client, models):
    def fail() -> None:
        raise MemoryError

    models.load = lambda: SteppedEngine(step=fail)
    client.segment(bright_volume(), MODEL, ALL)
    (failed,) = (event for event in heard(client, Failed) if isinstance(event, Failed))
    assert failed.error.message == "There is not enough memory."


def test_closing_ends_the_thread_and_gives_the_models_memory_back(client, models):
    before = set(threading.enumerate())
    client.segment(bright_volume(), MODEL, ALL)
    heard(client, Finished)
    client.close()
    wait_for(lambda: models.engines[0].closed)
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_an_idle_thread_leaves_nothing_either(tmp_path, models):
    before = set(threading.enumerate())
    client = InProcessClient(folder=tmp_path, idle_minutes=0.005)
    client.load(MODEL)
    heard(client, Loaded)
    wait_for(lambda: client.poll() == [] and client.pid is None)
    wait_for(lambda: set(threading.enumerate()) <= before)
    client.load(MODEL)
    heard(client, Loaded)
    client.close()
