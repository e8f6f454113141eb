"""The worker does what it is asked, one thing after the other, and can be told to stop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantom import GEOMETRIES, make_volume
from worker_conversation import (
    CARD,
    HELLO,
    MODEL,
    Conversation,
    Gate,
    Models,
    SteppedEngine,
    bright_volume,
    segment_command,
)

from GDLACore.errors import DeviceError, EngineError, VolumeError, WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker import warm_model
from GDLACore.worker.array_file import map_array
from GDLACore.worker.events import Failed, Phase, SlicesDone, Warned
from GDLACore.worker.messages import (
    Greeting,
    Load,
    ModelReady,
    Refused,
    SegmentFinished,
    SegmentStarted,
    Unload,
)
from GDLACore.worker.protocol import ProtocolError


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


def test_a_model_is_loaded_and_warm(worker, models):
    worker.say(Load(1, MODEL))
    assert worker.hear_until(ModelReady) == [
        Phase(1, "loading", 0, 1),
        Phase(1, "loading", 1, 1),
        ModelReady(1, CARD, "CPU (test)"),
    ]
    assert models.engines[0].warmed_up


def test_a_volume_is_segmented_into_the_file(worker, tmp_path):
    worker.say(segment_command(tmp_path, bright_volume()))
    *reports, last = worker.hear_until(SegmentFinished)
    assert reports == [
        Phase(1, "loading", 0, 1),
        Phase(1, "loading", 1, 1),
        SegmentStarted(1, CARD, "CPU (test)"),
        SlicesDone(1, 0, (0, 1), 2, 6),
        SlicesDone(1, 0, (2, 3), 4, 6),
        SlicesDone(1, 0, (4, 5), 6, 6),
    ]
    assert (last.job, last.cleaned, last.device) == (1, False, "CPU (test)")
    assert 0 < last.seconds < 30
    labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels, bright_volume().array > 0)
    assert labels.dtype == np.uint8


@pytest.mark.parametrize(("storage", "axis"), [("axial", 0), ("coronal storage", 1)])
def test_slices_are_named_by_the_array_axis_that_they_lie_along(worker, tmp_path, storage, axis):
    volume = make_volume(GEOMETRIES[storage])
    volume.array[:] = np.random.default_rng(3).integers(-1000, 1000, volume.shape)
    worker.say(segment_command(tmp_path, volume, options=SegmentOptions(slices=range(1, 4))))
    done = [r for r in worker.hear_until(SegmentFinished) if isinstance(r, SlicesDone)]
    assert {report.axis for report in done} == {axis}
    assert [report.indices for report in done] == [(1, 2), (3,)]
    labels = np.moveaxis(map_array(tmp_path / "labels-1.npy"), axis, 0)
    bright = np.moveaxis(volume.array > 40, axis, 0)
    np.testing.assert_array_equal(labels[1:4], bright[1:4])
    assert not labels[0].any() and not labels[4:].any()


def test_the_labels_of_announced_slices_can_be_read_while_the_rest_is_computed(
    worker, models, tmp_path
):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    gate.open(2)
    worker.say(segment_command(tmp_path, bright_volume()))
    labels = None
    for report in worker.hear_until(SlicesDone):
        if isinstance(report, SegmentStarted):
            labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels[:2], bright_volume().array[:2] > 0)
    gate.open()
    worker.hear_until(SegmentFinished)


def test_a_warm_model_is_not_loaded_again(worker, models, tmp_path):
    worker.say(Load(1, MODEL), segment_command(tmp_path, bright_volume(), job=2))
    worker.say(segment_command(tmp_path, bright_volume(), job=3))
    worker.hear_until(SegmentFinished)
    assert isinstance(worker.hear(), SegmentStarted)
    worker.hear_until(SegmentFinished)
    assert len(models.engines) == 1 and not models.engines[0].closed


def test_another_request_closes_the_old_model_before_it_loads_the_new(worker, models):
    worker.say(Load(1, MODEL))
    worker.hear_until(ModelReady)

    def load() -> SteppedEngine:
        assert models.engines[0].closed
        return SteppedEngine()

    models.load = load
    worker.say(Load(2, replace(MODEL, device="cuda")))
    assert isinstance(worker.hear_until(ModelReady)[-1], ModelReady)
    assert len(models.engines) == 2


def test_a_model_whose_file_has_changed_is_loaded_again(worker, models, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"one")
    model = replace(MODEL, model=str(path))
    for job, content in (1, b"one"), (2, b"three"):
        path.write_bytes(content)
        worker.say(Load(job, model))
        worker.hear_until(ModelReady)
    assert [engine.closed for engine in models.engines] == [True, False]


@pytest.mark.parametrize("beside", ["model.card.json", "own.json"])
def test_a_model_whose_card_has_changed_is_loaded_again(worker, models, tmp_path, beside):
    model = replace(MODEL, model=str(tmp_path / "model.ckpt"), card=str(tmp_path / "own.json"))
    for job in 1, 2:
        (tmp_path / beside).write_text("{" * job)
        worker.say(Load(job, model))
        worker.hear_until(ModelReady)
    assert len(models.engines) == 2


def test_a_model_that_cannot_be_loaded_is_told_and_another_can_be(worker, models):
    def load() -> SteppedEngine:
        raise DeviceError("There is no such GPU.", "Choose cpu.")

    models.load = load
    worker.say(Load(1, MODEL))
    failed = worker.hear_until(Failed)[-1]
    assert (failed.job, type(failed.error)) == (1, DeviceError)
    models.load = SteppedEngine
    worker.say(Load(2, MODEL))
    worker.hear_until(ModelReady)


def test_a_load_is_left_out_if_another_request_waits(worker, models, tmp_path):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker.say(segment_command(tmp_path, bright_volume()))
    gate.reached()
    worker.say(*(Load(job, MODEL) for job in (2, 3, 4)))
    worker.say(ProtocolError("stands for: all that has been read"))
    worker.hear_until(Refused)
    gate.open(3)
    worker.hear_until(SegmentFinished)
    assert worker.hear() == ModelReady(4, CARD, "CPU (test)")


def test_the_memory_of_a_model_is_given_back_when_asked(worker, models):
    worker.say(Load(1, MODEL))
    worker.hear_until(ModelReady)
    worker.say(Unload(), Load(2, MODEL))
    worker.hear_until(ModelReady)
    assert [engine.closed for engine in models.engines] == [True, False]


def with_two_parts() -> Volume:
    volume = bright_volume()
    volume.array[5, 6, 7] = 1000
    return volume


@pytest.mark.parametrize(
    ("volume", "changed"), [(bright_volume(), False), (with_two_parts(), True)]
)
def test_the_clean_up_is_a_phase_of_its_own_that_says_whether_it_changed_anything(
    worker, tmp_path, volume, changed
):
    options = SegmentOptions(largest_component=True)
    worker.say(segment_command(tmp_path, volume, options=options))
    reports = worker.hear_until(SegmentFinished)
    assert reports[-5:-1] == [Phase(1, "cleaning", done, 3) for done in range(4)]
    assert reports[-1].cleaned == changed
    labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels, volume.array > 0)
    assert (tmp_path / "labels-1-cleaned.npy").exists() == changed
    if changed:
        cleaned = map_array(tmp_path / "labels-1-cleaned.npy")
        np.testing.assert_array_equal(cleaned, bright_volume().array > 0)


def test_a_volume_that_does_not_suit_the_model_is_refused_before_labels_are_made(worker, tmp_path):
    mr = replace(bright_volume(), modality="MR")
    worker.say(segment_command(tmp_path, mr))
    failed = worker.hear_until(Failed)[-1]
    assert type(failed.error) is VolumeError
    assert failed.error.message.startswith("CT 5 is a MR image")
    assert not (tmp_path / "labels-1.npy").exists()


def test_the_packages_warnings_are_told(worker, tmp_path):
    empty = make_volume(GEOMETRIES["axial"])
    worker.say(segment_command(tmp_path, empty))
    (warned,) = (r for r in worker.hear_until(SegmentFinished) if isinstance(r, Warned))
    assert warned == Warned(1, "All values of phantom are the same (0): nothing is to be seen.")
    logging.getLogger("GDLACore.engine").warning("Between two jobs.")
    worker.say(Load(2, MODEL))
    assert worker.hear_until(ModelReady) == [ModelReady(2, CARD, "CPU (test)")]


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (EngineError("The network failed.", "Try cpu."), EngineError, "The network failed."),
        (MemoryError(), EngineError, "There is not enough memory."),
        (KeyError("x"), WorkerError, "The background process met an unexpected KeyError: 'x'."),
    ],
)
def test_a_failure_while_computing_is_told_and_the_next_request_works(
    worker, models, tmp_path, raised, kind, words
):
    def fail() -> None:
        raise raised

    models.load = lambda: SteppedEngine(step=fail)
    worker.say(segment_command(tmp_path, bright_volume()))
    failed = worker.hear_until(Failed)[-1]
    assert (failed.job, type(failed.error), failed.error.message) == (1, kind, words)
    assert failed.error.hint
    models.engines[0].step = lambda: None
    worker.say(segment_command(tmp_path, bright_volume(), job=2))
    assert worker.hear_until(SegmentFinished)[-1].job == 2


def test_a_volume_that_somebody_removed_is_told(worker, tmp_path):
    command = segment_command(tmp_path, bright_volume())
    Path(command.volume.array).unlink()
    worker.say(command)
    assert "volume-1.npy cannot be read" in worker.hear_until(Failed)[-1].error.message
