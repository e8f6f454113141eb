"""How sure the network is comes with the labels, and with the end where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from phantom import GEOMETRIES, make_volume
from scripted_connection import ScriptedClient
from worker_conversation import (
    CARD,
    HELLO,
    MODEL,
    Conversation,
    Models,
    bright_volume,
    segment_command,
)

from GDLACore.options import SegmentOptions
from GDLACore.review.doubt import slice_doubt
from GDLACore.worker import Doubt, InProcessClient, Started, warm_model
from GDLACore.worker.array_file import map_array, write_zeros
from GDLACore.worker.events import Failed
from GDLACore.worker.messages import Greeting, SegmentFinished, SegmentStarted

SURE = SegmentOptions(slices=range(1, 4), confidence=True)


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


def test_confidence_is_written_where_the_labels_are_and_doubt_told_of_each_slice(worker, tmp_path):
    volume = bright_volume()
    volume.array[2, 0, :3] = 40  # right between liver and nothing
    worker.say(segment_command(tmp_path, volume, options=SURE))
    finished = worker.hear_until(SegmentFinished)[-1]
    confidence = map_array(tmp_path / "confidence-1.npy")
    assert confidence.dtype == np.float16 and confidence.shape == volume.shape
    assert (confidence[1:4] > 0).any() and not confidence[0].any() and not confidence[4:].any()
    assert finished.doubt.indices == (1, 2, 3)
    np.testing.assert_allclose(finished.doubt.values, slice_doubt(confidence, 0, [1, 2, 3]))
    assert finished.doubt.values[1] > 1 > finished.doubt.values[0] == finished.doubt.values[2]


def test_the_doubt_is_of_the_slices_that_the_network_saw_however_they_are_stored(worker, tmp_path):
    volume = make_volume(GEOMETRIES["coronal storage"])
    volume.array[:] = np.random.default_rng(3).integers(-160, 240, volume.shape)
    worker.say(segment_command(tmp_path, volume, options=SURE))
    finished = worker.hear_until(SegmentFinished)[-1]
    confidence = map_array(tmp_path / "confidence-1.npy")
    assert confidence[:, 1:4].any() and not confidence[:, 4:].any()
    assert finished.doubt.indices == (1, 2, 3)
    np.testing.assert_allclose(finished.doubt.values, slice_doubt(confidence, 1, [1, 2, 3]))


def test_the_labels_are_the_same_with_and_without_it(worker, tmp_path):
    for job, options in enumerate([SURE, SegmentOptions(slices=SURE.slices)], 1):
        worker.say(segment_command(tmp_path, bright_volume(), job, options))
        finished = worker.hear_until(SegmentFinished)[-1]
        assert (finished.doubt is None) == (not options.confidence)
    first, second = (map_array(tmp_path / f"labels-{job}.npy") for job in (1, 2))
    np.testing.assert_array_equal(first, second)
    assert not (tmp_path / "confidence-2.npy").exists()


def test_confidence_that_cannot_be_written_is_told(worker, tmp_path):
    (tmp_path / "confidence-1.npy").write_bytes(b"of somebody else")
    worker.say(segment_command(tmp_path, bright_volume(), options=SURE))
    failed = worker.hear_until(Failed)[-1]
    assert f"cannot be written in {tmp_path}" in failed.error.message


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ScriptedClient]:
    client = ScriptedClient(tmp_path)
    yield client
    client.close()


def test_the_client_maps_it_and_tells_the_doubt(client):
    client.segment(bright_volume(), MODEL, SURE)
    client.present.greet()
    client.poll_until(lambda events: client.present.asked)
    client.poll()
    (request,) = client.present.asked
    shape = bright_volume().shape
    write_zeros(Path(request.labels), np.uint8, shape)
    written = write_zeros(Path(request.confidence), np.float16, shape)
    doubt = Doubt((1, 2, 3), (0.5, 7.0, 0.0))
    client.present.say(
        SegmentStarted(request.job, CARD, "CPU"),
        SegmentFinished(request.job, False, "CPU", 0.5, doubt),
    )
    started, finished = client.poll()
    written[2] = 0.25
    assert started.confidence[2, 0, 0] == 0.25 and not started.confidence.flags.writeable
    assert finished.doubt == doubt


def test_it_comes_out_of_the_same_process_too(tmp_path, models):
    client = InProcessClient(folder=tmp_path)
    client.segment(bright_volume(), MODEL, SURE)
    events = []
    while client.busy:
        events += client.poll()
    (started,) = (event for event in events if isinstance(event, Started))
    assert started.confidence[1:4].any() and events[-1].doubt.indices == (1, 2, 3)
    client.close()
