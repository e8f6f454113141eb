"""The worker shows single slices, the most wanted first, and does nothing else for them."""

from __future__ import annotations

import logging
import sys
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

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.worker import warm_model, warm_volume
from GDLACore.worker.array_file import map_array
from GDLACore.worker.events import Failed, Phase, PreviewDone, Previewed, Stopped, Warned
from GDLACore.worker.messages import (
    Cancel,
    Greeting,
    Load,
    ModelReady,
    Preview,
    Refused,
    SegmentFinished,
    VolumeFile,
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


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Volume]:
    """The volumes that something has been computed of as a whole."""
    volumes: list[Volume] = []
    prepare = warm_volume.prepare

    def noted(volume: Volume, card: object) -> object:
        volumes.append(volume)
        return prepare(volume, card)

    monkeypatch.setattr(warm_volume, "prepare", noted)
    return volumes


def file_of(folder: Path, volume: Volume) -> VolumeFile:
    return segment_command(folder, volume).volume


def shown(worker: Conversation) -> list[Previewed]:
    """Return what is shown until the preview is over."""
    return [r for r in worker.hear_until(PreviewDone) if isinstance(r, Previewed)]


def noise(storage: str = "axial") -> Volume:
    volume = make_volume(GEOMETRIES[storage])
    volume.array[:] = np.random.default_rng(3).integers(-1000, 1000, volume.shape)
    return Volume(volume.array, volume.ijk_to_ras, "CT 5", "CT")


@pytest.mark.parametrize("view", ["identity", "rotate_90", "anti_transpose"])
@pytest.mark.parametrize(("storage", "axis"), [("axial", 0), ("coronal storage", 1)])
def test_slices_come_as_they_lie_in_the_volume_and_equal_those_of_a_segmentation(
    worker, models, tmp_path, storage, axis, view
):
    models.load = lambda: SteppedEngine(replace(CARD, view=view))
    command = segment_command(tmp_path, noise(storage))
    worker.say(command)
    worker.hear_until(SegmentFinished)
    labels = map_array(tmp_path / "labels-1.npy")
    worker.say(Preview(2, MODEL, command.volume, (4, 0, 5), "smooth"))
    found = shown(worker)
    assert [(one.job, one.axis, one.index) for one in found] == [(2, axis, i) for i in (4, 0, 5)]
    for one in found:
        np.testing.assert_array_equal(one.labels, labels.take(one.index, axis))
        assert one.labels.any() and one.labels.dtype == np.uint8
        assert not one.labels.flags.writeable


def test_the_most_wanted_do_not_wait_for_the_others(worker, models, tmp_path):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker.say(Preview(1, MODEL, file_of(tmp_path, bright_volume()), (3, 2, 5), "smooth"))
    gate.open()
    reports = worker.hear_until(Previewed) + [worker.hear()]
    assert reports[:2] == [Phase(1, "loading", 0, 1), Phase(1, "loading", 1, 1)]
    assert [report.index for report in reports[2:]] == [3, 2]
    gate.reached()
    gate.reached()
    gate.open()
    assert [one.index for one in shown(worker)] == [5]


def test_what_is_known_of_a_volume_is_computed_once(worker, prepared, tmp_path):
    file = file_of(tmp_path, noise())
    for job in 1, 2, 3:
        worker.say(Preview(job, MODEL, file, (job,), "smooth"))
        shown(worker)
    worker.say(replace(segment_command(tmp_path, noise(), job=4), volume=file))
    worker.hear_until(SegmentFinished)
    worker.say(Preview(5, MODEL, file, (1,), "smooth"))
    shown(worker)
    assert len(prepared) == 1


def test_another_volume_another_place_and_another_card_are_looked_at_anew(
    worker, models, prepared, tmp_path
):
    first, second = (segment_command(tmp_path, noise(), job).volume for job in (1, 2))
    moved = replace(second, ijk_to_ras=(*second.ijk_to_ras[:3], 7.0, *second.ijk_to_ras[4:]))
    for job, file in enumerate((first, second, moved), 1):
        worker.say(Preview(job, MODEL, file, (1,), "smooth"))
        shown(worker)
    models.load = lambda: SteppedEngine(replace(CARD, view="transpose"))
    worker.say(Preview(4, replace(MODEL, device="cuda"), moved, (1,), "smooth"))
    shown(worker)
    assert len(prepared) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="tells nobody which files are open")
def test_the_file_is_not_kept_open(worker, tmp_path):
    file = file_of(tmp_path, noise())
    worker.say(Preview(1, MODEL, file, (1,), "smooth"), Load(2, MODEL))
    worker.hear_until(ModelReady)
    assert file.array not in Path("/proc/self/maps").read_text()


def test_a_warning_about_the_volume_is_for_the_segmentation_too(worker, tmp_path):
    empty = make_volume(GEOMETRIES["axial"])
    said = "All values of phantom are the same (0): nothing is to be seen."
    file = file_of(tmp_path, empty)
    told = []
    for job in 1, 2:
        worker.say(Preview(job, MODEL, file, (1,), "smooth"))
        told += [r for r in worker.hear_until(PreviewDone) if isinstance(r, Warned)]
    assert told == [Warned(1, said)]
    worker.say(replace(segment_command(tmp_path, empty, job=3), volume=file))
    told = [r for r in worker.hear_until(SegmentFinished) if isinstance(r, Warned)]
    assert told == [Warned(3, said)]


def test_a_warning_about_the_model_or_device_is_for_the_segmentation_too_but_once(
    worker, models, tmp_path
):
    engine_log = logging.getLogger("GDLACore.engine.base")

    def load() -> SteppedEngine:
        engine_log.warning("No GPU found.")
        return SteppedEngine(step=lambda: engine_log.warning("Smaller batches."))

    models.load = load
    command = segment_command(tmp_path, bright_volume(), job=2)
    worker.say(Preview(1, MODEL, command.volume, (1, 2, 3), "smooth"))
    worker.hear_until(PreviewDone)
    models.engines[0].step = lambda: None
    worker.say(command, segment_command(tmp_path, bright_volume(), job=3))
    told = [r for r in worker.hear_until(SegmentFinished) if isinstance(r, Warned)]
    assert told == [Warned(2, "No GPU found."), Warned(2, "Smaller batches.")]
    assert not any(isinstance(r, Warned) for r in worker.hear_until(SegmentFinished))


def test_a_warning_about_another_model_is_not_repeated(worker, models, tmp_path):
    def load() -> SteppedEngine:
        logging.getLogger("GDLACore.engine").warning("Model %d.", len(models.engines))
        return SteppedEngine()

    models.load = load
    command = segment_command(tmp_path, bright_volume(), job=2)
    worker.say(Load(1, replace(MODEL, model="/models/other.onnx")))
    worker.hear_until(ModelReady)
    worker.say(command)
    told = [r for r in worker.hear_until(SegmentFinished) if isinstance(r, Warned)]
    assert told == [Warned(2, "Model 1.")]


def test_a_volume_that_does_not_suit_the_model_is_refused_each_time(worker, tmp_path):
    file = file_of(tmp_path, replace(bright_volume(), modality="MR"))
    for job in 1, 2:
        worker.say(Preview(job, MODEL, file, (1,), "smooth"))
        failed = worker.hear_until(Failed)[-1]
        assert failed.job == job and type(failed.error) is VolumeError
        assert failed.error.message.startswith("CT 5 is a MR image")
    worker.say(Preview(3, MODEL, replace(file, modality="CT"), (1,), "smooth"))
    assert [one.index for one in shown(worker)] == [1]


@pytest.mark.parametrize("index", [6, -1])
def test_a_slice_that_is_not_there_is_told_before_any_is_computed(worker, models, tmp_path, index):
    worker.say(Preview(1, MODEL, file_of(tmp_path, noise()), (1, 2, index), "smooth"))
    *before, failed = worker.hear_until(Failed)
    assert {type(report) for report in before} == {Phase}
    assert isinstance(failed.error, VolumeError) and "6 along" in failed.error.message


def test_a_volume_that_somebody_removed_is_told(worker, tmp_path):
    file = file_of(tmp_path, noise())
    worker.say(Preview(1, MODEL, file, (1,), "smooth"))
    shown(worker)
    Path(file.array).unlink()
    worker.say(Preview(2, MODEL, file, (2,), "smooth"))
    assert "volume-1.npy cannot be read" in worker.hear_until(Failed)[-1].error.message


def test_cancelling_stops_it_between_two_batches(worker, models, tmp_path):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker.say(Preview(1, MODEL, file_of(tmp_path, noise()), (0, 1, 2, 3), "smooth"))
    gate.reached()
    # The answer to a line that is none says that the one before it has been read.
    worker.say(Cancel(), ProtocolError("is not JSON"))
    worker.hear_until(Refused)
    gate.open()
    reports = worker.hear_until(Stopped)
    assert [r.index for r in reports if isinstance(r, Previewed)] == [0, 1]


def test_a_model_that_is_being_loaded_is_ready_before_the_slices_come(worker, models, tmp_path):
    gate = Gate()

    def load() -> SteppedEngine:
        gate.wait()
        return SteppedEngine()

    models.load = load
    worker.say(Load(1, MODEL))
    gate.reached()
    worker.say(Preview(2, MODEL, file_of(tmp_path, noise()), (1,), "smooth"))
    gate.open()
    reports = worker.hear_until(PreviewDone)
    assert [type(report) for report in reports[-3:]] == [ModelReady, Previewed, PreviewDone]
    assert len(models.engines) == 1
