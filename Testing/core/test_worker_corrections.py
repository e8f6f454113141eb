"""What the user corrected in slices reaches those between them, by way of the worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantom import GEOMETRIES, make_volume
from scripted_connection import ScriptedClient
from small_engines import make_engine
from worker_conversation import HELLO, MODEL, Conversation, bright_volume, segment_command

from GDLACore.errors import WorkerError
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import SliceResult
from GDLACore.pipeline import segment as segment_in_this_process
from GDLACore.worker import Failed, warm_model
from GDLACore.worker.array_file import map_array, write_array
from GDLACore.worker.messages import CorrectedSlices, Segment, SegmentFinished

ALL = SegmentOptions()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ScriptedClient]:
    client = ScriptedClient(tmp_path)
    yield client
    client.close()


def sent(client: ScriptedClient, corrections: dict[int, np.ndarray] | None) -> Segment:
    client.segment(bright_volume(), MODEL, ALL, key="a", corrections=corrections)
    client.present.greet()
    client.poll_until(lambda events: client.present.asked)
    return client.present.asked[-1]


def test_corrections_are_written_beside_the_volume_as_they_were_when_they_were_given(client):
    labels = {5: np.full((7, 8), 2, np.uint8), 1: np.eye(7, 8, dtype=np.uint8)}
    client.segment(bright_volume(), MODEL, ALL, corrections=labels)
    expected = {index: one.copy() for index, one in labels.items()}
    labels[5][:] = 9  # the user goes on
    client.present.greet()
    client.poll_until(lambda events: client.present.asked)
    corrections = client.present.asked[-1].corrections
    found = map_array(Path(corrections.array))
    assert corrections.indices == (5, 1) and found.dtype == np.uint8
    for index, one in zip(corrections.indices, found, strict=True):
        np.testing.assert_array_equal(one, expected[index])


@pytest.mark.parametrize("nothing", [None, {}])
def test_without_corrections_there_is_no_file_for_them(client, nothing):
    request = sent(client, nothing)
    assert request.corrections is None
    assert not list(Path(request.labels).parent.glob("corrections*"))


def test_corrections_of_different_shapes_are_told(client):
    client.segment(
        bright_volume(), MODEL, ALL, corrections={1: np.zeros((7, 8)), 2: np.zeros((8, 7))}
    )
    client.present.greet()
    (failed,) = (e for e in client.poll_until(lambda _: not client.busy) if isinstance(e, Failed))
    assert type(failed.error) is WorkerError and "same shape" in failed.error.message


@pytest.mark.parametrize("storage", ["axial", "coronal storage"])
def test_the_worker_follows_them_as_the_pipeline_does(tmp_path, monkeypatch, storage):
    volume = make_volume(GEOMETRIES[storage], (8, 8, 8))
    axis = 0 if storage == "axial" else 1
    # All slices alike, so that each believes in what is said of the others.
    one = np.random.default_rng(3).integers(-160, 240, (8, 8))
    volume.array[:] = np.expand_dims(one, axis)
    corrected = np.full((2, 8, 8), 3, np.uint8)
    corrected[0, :4] = 2
    corrections = {6: corrected[0], 2: corrected[1]}
    options = SegmentOptions(slices=range(2, 7))
    with make_engine() as engine:
        expected = np.zeros(volume.shape, np.uint8)
        plain = np.zeros(volume.shape, np.uint8)
        for labels, given in (expected, corrections), (plain, {}):
            for event in segment_in_this_process(volume, engine, options, given):
                if isinstance(event, SliceResult):
                    event.view.put(labels, event.indices, event.labels)
    assert (expected.take(4, axis) != plain.take(4, axis)).any(), "else this tells nothing"
    monkeypatch.setattr(warm_model, "load_engine", lambda *_, **__: make_engine())
    write_array(tmp_path / "corrections.npy", corrected)
    command = replace(
        segment_command(tmp_path, volume, options=options),
        corrections=CorrectedSlices(str(tmp_path / "corrections.npy"), tuple(corrections)),
    )
    worker = Conversation(HELLO, command)
    worker.hear_until(SegmentFinished)
    worker.end()
    labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels, expected)
    for index, one in corrections.items():
        np.testing.assert_array_equal(labels.take(index, axis), one)
