"""Slicer's worker keeps its numbers and promises, be it a process or, failing that, a thread."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import slicer
from worker_conversation import CARD, DEADLINE_S, MODEL, Models, bright_volume

from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Failed,
    Finished,
    InProcessClient,
    PreviewDone,
    Previewed,
    Started,
    Stopped,
    Warned,
    WorkerClient,
    warm_model,
)

ALL = SegmentOptions()
VOLUME = bright_volume()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    models = Models()
    monkeypatch.setattr(warm_model, "load_engine", models)
    return models


@pytest.fixture
def make_host(module, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Return a function that makes a host with this interpreter as PythonSlicer."""
    from GDLASegmenterLib import WorkerHost

    hosts = []

    def make(python: str):
        monkeypatch.setattr(WorkerHost, "pythonSlicer", lambda: python)
        hosts.append(WorkerHost.WorkerHost(lambda: None))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
    assert list(Path(slicer.app.temporaryPath).glob("GDLA*")) == []


@pytest.fixture
def host(make_host, models: Models, tmp_path: Path):
    """A host on a computer without PythonSlicer, whose models are a few lines."""
    return make_host(str(tmp_path / "PythonSlicer"))


def heard(host, *kinds: type) -> list:
    """Poll until an event of one of ``kinds``, and return all events up to then."""
    events, waited = [], threading.Event()
    for _ in range(DEADLINE_S * 1000):
        events += host.poll()
        if any(isinstance(event, kinds) for event in events):
            return events
        waited.wait(0.001)
    raise AssertionError(f"only this has happened: {events}")


def preview(host, *indices: int) -> int:
    return host.preview(VOLUME, MODEL, indices, "smooth", key="a")


@pytest.mark.parametrize(
    "name", ["segment", "preview", "load", "withdraw", "cancel", "poll", "log", "start", "forget"]
)
def test_it_takes_what_the_client_takes(module, name):
    from GDLASegmenterLib.WorkerHost import WorkerHost

    of_client, of_host = (signature(getattr(kind, name)) for kind in (WorkerClient, WorkerHost))
    assert list(of_client.parameters.values()) == list(of_host.parameters.values())


def test_a_preview_for_which_no_process_can_be_started_comes_from_a_thread(host):
    job = preview(host, 3, 4)
    assert host.previewing and not host.busy
    events = heard(host, PreviewDone)
    shown = [event for event in events if isinstance(event, Previewed)]
    assert [(event.job, event.index) for event in shown] == [(job, 3), (job, 4)]
    np.testing.assert_array_equal(shown[0].labels, VOLUME.array[3] > 0)
    assert events[-1] == PreviewDone(job) and not host.previewing


def test_that_no_process_could_be_started_is_told_once_and_to_a_segmentation(host):
    preview(host, 3)
    assert not any(isinstance(event, Warned) for event in heard(host, PreviewDone))
    told = []
    for number in range(2):
        job = host.segment(VOLUME, MODEL, ALL, key="a")
        told += [event for event in heard(host, Finished) if isinstance(event, Warned)]
        assert number or told[0].job == job
    (warned,) = told
    assert warned.message.endswith("Segmenting inside Slicer instead.")


def test_nothing_is_kept_of_what_is_over(host):
    for _ in range(3):
        preview(host, 3)
        heard(host, PreviewDone)
        preview(host, 4)
        host.segment(VOLUME, MODEL, ALL, key="a")  # which takes its place
        heard(host, Finished)
    assert host._jobs == {}


def test_a_model_that_was_being_loaded_meanwhile_is_no_reason_to_fail(host):
    host.load(MODEL)
    preview(host, 3)
    events = heard(host, PreviewDone)
    assert not any(isinstance(event, Failed) for event in events)


def test_jobs_and_previews_have_numbers_of_their_own_whatever_worker_does_them(host):
    numbers = [preview(host, 3)]
    heard(host, PreviewDone)
    numbers.append(host.segment(VOLUME, MODEL, ALL, key="a"))
    events = heard(host, Finished)
    assert {event.job for event in events} == {numbers[-1]}
    host.close()  # the next client counts from 1 again
    numbers.append(preview(host, 4))
    events = heard(host, PreviewDone)
    assert {event.job for event in events} == {numbers[-1]}
    assert numbers == sorted(set(numbers))


def test_nothing_of_a_volume_is_held_when_its_work_is_done(desktop, host):
    for ask in (
        lambda volume: host.preview(volume, MODEL, [3], "smooth", key="b"),
        lambda volume: host.segment(volume, MODEL, ALL, key="b"),
    ):
        volume = bright_volume()
        held = weakref.ref(volume.array)
        ask(volume)
        del volume
        heard(host, PreviewDone, Finished)
        # By the thread that wrote it, too, which may get its turn later.
        desktop.wait_until(lambda held=held: held() is None)


def test_a_job_takes_the_place_of_a_preview(host):
    heard_first = preview(host, 3)
    heard(host, PreviewDone)
    old = preview(host, 4)
    new = host.segment(VOLUME, MODEL, SegmentOptions(confidence=True))
    events = heard(host, Finished)
    assert Stopped(old) in events and len({heard_first, old, new}) == 3
    assert not any(isinstance(event, Previewed) for event in events)
    started = next(event for event in events if isinstance(event, Started))
    assert started.card == CARD and started.confidence is not None
    assert events[-1].job == new and events[-1].doubt is not None


def test_it_asks_a_process_where_one_can_be_started(make_host):
    host = make_host(sys.executable)
    job = preview(host, 3)
    (failed,) = (event for event in heard(host, Failed) if isinstance(event, Failed))
    assert failed.job == job and "abdomen.onnx" in failed.error.message
    assert not isinstance(host._client, InProcessClient)
