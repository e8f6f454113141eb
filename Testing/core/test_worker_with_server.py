"""The worker with an engine far away: nothing is mixed up, and cancelling waits for no server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from server_engine import ServerEngine
from worker_conversation import (
    CARD,
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

from GDLACore.engine import runtime
from GDLACore.errors import ModelFileError, ServerError
from GDLACore.options import SegmentOptions
from GDLACore.remote import RemoteServer
from GDLACore.worker import server, warm_model
from GDLACore.worker.array_file import map_array, write_array
from GDLACore.worker.events import (
    Failed,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Stopped,
    Warned,
)
from GDLACore.worker.inbox import Inbox
from GDLACore.worker.messages import (
    Cancel,
    CorrectedSlices,
    Greeting,
    Load,
    ModelReady,
    Preview,
    Quit,
    SegmentFinished,
    SegmentStarted,
    Unload,
)

SERVER = RemoteServer("https://gpu.hospital.org", "secret-word")
REMOTE = replace(MODEL, model="only-there", server=SERVER)


class Servers(Models):
    """Takes the place of ``load_engine``; ``asked`` is how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = ServerEngine()
        self.load = lambda: self.engine
        self.asked: list[tuple[str, dict[str, object]]] = []

    def __call__(self, model: str, **options: object) -> SteppedEngine:
        self.asked.append((model, options))
        return super().__call__(model, **options)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    models = Servers()
    monkeypatch.setattr(warm_model, "load_engine", models)
    yield models
    models.engine.free()


@pytest.fixture
def worker(models: Servers) -> Iterator[Conversation]:
    worker = Conversation(HELLO)
    assert isinstance(worker.hear(), Greeting)
    yield worker
    worker.end()


def remote_command(folder: Path, job: int = 1, **changes: object):
    return replace(segment_command(folder, bright_volume(), job), model=REMOTE, **changes)


def test_every_slice_is_told_once_and_the_labels_are_those_of_this_computer(
    worker, models, tmp_path
):
    worker.say(remote_command(tmp_path, options=SegmentOptions(confidence=True)))
    *reports, last = worker.hear_until(SegmentFinished)
    assert reports[:3] == [
        Phase(1, "loading", 0, 1),
        Phase(1, "loading", 1, 1),
        SegmentStarted(1, CARD, "CPU (test)"),
    ]
    told = reports[3:]
    assert all(isinstance(report, SlicesDone) for report in told)
    assert sorted(index for report in told for index in report.indices) == [0, 1, 2, 3, 4, 5]
    assert [report.done for report in told] == [1, 2, 3, 4, 5, 6]
    assert last.doubt.indices == (0, 1, 2, 3, 4, 5)
    labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels, bright_volume().array > 0)
    assert not np.isnan(map_array(tmp_path / "confidence-1.npy")).any()


def test_the_engine_is_asked_for_with_the_server_and_kept(worker, models, tmp_path):
    worker.say(Load(1, REMOTE), remote_command(tmp_path, 2), Preview(3, *preview_of(tmp_path)))
    worker.hear_until(PreviewDone)
    ((model, options),) = models.asked
    assert (model, options["server"], options["device"]) == ("only-there", SERVER, "cpu")


def preview_of(folder: Path) -> tuple[object, ...]:
    return REMOTE, segment_command(folder, bright_volume(), 9).volume, (2, 1, 3, 0), "smooth"


@pytest.mark.parametrize(
    "other",
    [
        None,
        replace(SERVER, url="https://other.hospital.org"),
        replace(SERVER, token="another"),
        replace(SERVER, fall_back=True),
    ],
    ids=repr,
)
def test_another_server_is_another_engine(worker, models, other):
    models.load = ServerEngine
    for job, one in enumerate((SERVER, SERVER, other), 1):
        worker.say(Load(job, replace(MODEL, server=one)))
        worker.hear_until(ModelReady)
    assert [engine.closed for engine in models.engines] == [True, False]


def test_changed_certificates_are_read_again(worker, models, tmp_path):
    certificates = tmp_path / "ca.pem"
    request = replace(REMOTE, server=replace(SERVER, ca_file=str(certificates)))
    models.load = ServerEngine
    for job, text in enumerate(("one", "three", "three"), 1):
        if not certificates.exists() or certificates.read_text() != text:
            certificates.write_text(text)
        worker.say(Load(job, request))
        worker.hear_until(ModelReady)
    assert len(models.engines) == 2


def test_a_model_that_is_nowhere_here_needs_a_server(worker, models):
    worker.say(Load(1, replace(REMOTE, server=None)))
    assert type(worker.hear_until(Failed)[-1].error) is ModelFileError
    worker.say(Load(2, REMOTE))
    worker.hear_until(ModelReady)


def test_cancelling_does_not_wait_for_slices_that_never_come(worker, models, tmp_path):
    models.engine.hold()
    worker.say(remote_command(tmp_path))
    models.engine.wait_for(1)
    models.engine.let()
    worker.hear_until(SlicesDone)
    models.engine.wait_for(3)
    worker.say(Cancel())
    assert worker.hear_until(Stopped) == [Stopped(1)]
    models.engine.free()
    worker.say(remote_command(tmp_path, 2))
    worker.hear_until(SegmentFinished)
    assert np.count_nonzero(map_array(tmp_path / "labels-1.npy").any(axis=(1, 2))) <= 1
    np.testing.assert_array_equal(map_array(tmp_path / "labels-2.npy"), bright_volume().array > 0)


def test_cancelling_does_not_wait_for_corrected_slices(worker, models, tmp_path):
    models.engine.hold()
    write_array(tmp_path / "corrected.npy", np.ones((1, 7, 8), np.uint16))
    corrections = CorrectedSlices(str(tmp_path / "corrected.npy"), (2,))
    worker.say(remote_command(tmp_path, corrections=corrections))
    models.engine.wait_for(1)
    worker.say(Cancel())
    assert worker.hear_until(Stopped)[-1] == Stopped(1)
    assert models.engine.most == 1


def test_cancelling_does_not_wait_for_a_preview(worker, models, tmp_path):
    models.engine.hold()
    worker.say(Preview(1, *preview_of(tmp_path)))
    models.engine.wait_for(1)
    models.engine.let()
    worker.hear_until(Previewed)
    worker.say(Cancel())
    assert worker.hear_until(Stopped)[-1] == Stopped(1)


def test_a_preview_shows_each_slice_as_it_arrives(worker, models, tmp_path):
    worker.say(Preview(1, *preview_of(tmp_path)))
    shown = [one for one in worker.hear_until(PreviewDone) if isinstance(one, Previewed)]
    assert sorted(one.index for one in shown) == [0, 1, 2, 3]
    for one in shown:
        np.testing.assert_array_equal(one.labels, bright_volume().array[one.index] > 0)


def test_cancelling_does_not_wait_for_a_server_that_does_not_tell_its_models(worker, models):
    gate = Gate()
    late = ServerEngine()
    models.load = lambda: gate.wait() or late
    worker.say(Load(1, REMOTE))
    gate.reached()
    worker.say(Cancel())
    assert worker.hear_until(Stopped) == [Phase(1, "loading", 0, 1), Stopped(1)]
    models.load = lambda: models.engine
    worker.say(Load(2, REMOTE))
    assert isinstance(worker.hear_until(ModelReady)[-1], ModelReady)
    gate.open()
    assert late.ended.wait(DEADLINE_S), "what came too late was not closed"
    assert not models.engine.closed


def test_cancelling_does_not_wait_for_the_first_slice(worker, models):
    gate = Gate()
    models.engine.warm_up = gate.wait
    worker.say(Load(1, REMOTE))
    gate.reached()
    worker.say(Cancel())
    assert worker.hear_until(Stopped)[-1] == Stopped(1)
    gate.open()


def test_what_the_server_refuses_is_told_without_its_token(worker, models, tmp_path):
    def load() -> ServerEngine:
        raise ServerError("The server gpu.hospital.org does not have only-there.", "Ask for it.")

    models.load = load
    worker.say(remote_command(tmp_path))
    failed = worker.hear_until(Failed)[-1]
    assert type(failed.error) is ServerError
    assert not (tmp_path / "labels-1.npy").exists()
    models.load = lambda: models.engine

    def fail() -> None:
        raise ServerError("The server gpu.hospital.org is gone.", "Try again.")

    models.engine.step = fail
    worker.say(remote_command(tmp_path, 2))
    assert worker.hear_until(Failed)[-1].error.message == "The server gpu.hospital.org is gone."
    before, models.engine = models.engine, ServerEngine()
    worker.say(remote_command(tmp_path, 3))
    worker.hear_until(SegmentFinished)
    assert before.closed  # its model may be another one by now


def test_what_is_said_of_a_server_while_nobody_reads_is_told_with_the_next_segmentation(
    worker, models, tmp_path
):
    def load() -> ServerEngine:
        logging.getLogger("GDLACore.remote.fallback").warning("Going on on this computer.")
        return models.engine

    models.load = load
    worker.say(Load(1, REMOTE))
    worker.hear_until(ModelReady)
    worker.say(remote_command(tmp_path, 2))
    told = [one for one in worker.hear_until(SegmentFinished) if isinstance(one, Warned)]
    assert told == [Warned(2, "Going on on this computer.")]


@pytest.mark.parametrize(("asked", "loaded"), [(REMOTE, 0), (MODEL, 1)])
def test_the_worker_loads_no_onnx_runtime_for_a_server(models, monkeypatch, asked, loaded):
    calls: list[None] = []
    monkeypatch.setattr(runtime, "onnx_runtime", lambda: calls.append(None))
    inbox, reports = Inbox(), []
    for command in Load(1, asked), Load(2, REMOTE), Quit():
        inbox.put(command)
    server._carry_out(inbox, reports.append, 60)
    assert isinstance(reports[-1], ModelReady)
    assert len(calls) == loaded


def test_unloading_closes_the_connection(worker, models):
    worker.say(Load(1, REMOTE))
    worker.hear_until(ModelReady)
    worker.say(Unload())
    assert models.engine.ended.wait(DEADLINE_S)
