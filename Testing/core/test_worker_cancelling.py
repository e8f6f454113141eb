"""Cancelling reaches all that was asked before, between two steps of it, and nothing later."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
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

from GDLACore.options import SegmentOptions
from GDLACore.worker import segmentation, warm_model
from GDLACore.worker.array_file import map_array
from GDLACore.worker.events import Phase, SlicesDone, Stopped
from GDLACore.worker.messages import (
    Cancel,
    Greeting,
    Load,
    ModelReady,
    Refused,
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


def test_cancelling_stops_after_the_batch_that_is_being_computed(worker, models, tmp_path):
    gate = Gate()
    models.load = lambda: SteppedEngine(step=gate.wait)
    worker.say(segment_command(tmp_path, bright_volume()))
    gate.open()
    gate.reached()
    gate.reached()
    worker.say(Cancel(), ProtocolError("stands for: the cancel has been read"))
    worker.hear_until(Refused)
    gate.open()
    assert worker.hear_until(Stopped) == [SlicesDone(1, 0, (2, 3), 4, 6), Stopped(1)]
    labels = map_array(tmp_path / "labels-1.npy")
    np.testing.assert_array_equal(labels[:4], bright_volume().array[:4] > 0)
    worker.say(Load(2, MODEL))
    assert worker.hear() == ModelReady(2, CARD, "CPU (test)")


def test_what_waits_is_cancelled_too_and_what_comes_later_is_done(worker, models, tmp_path):
    gate = Gate()
    models.load = lambda: gate.wait() or SteppedEngine()
    worker.say(Load(1, MODEL))
    gate.reached()
    worker.say(segment_command(tmp_path, bright_volume(), job=2), Cancel(), Load(3, MODEL))
    worker.say(ProtocolError("stands for: all that has been read"))
    worker.hear_until(Refused)
    gate.open()
    assert [type(report) for report in worker.hear_until(ModelReady)] == [
        Phase,
        Stopped,
        Stopped,
        ModelReady,
    ]
    assert not (tmp_path / "labels-2.npy").exists()


def test_cancelling_when_nothing_is_going_on_does_nothing(worker):
    worker.say(Cancel(), Load(1, MODEL))
    assert worker.hear_until(ModelReady)[-1].job == 1


def test_the_clean_up_can_be_cancelled_between_two_structures(
    worker, models, tmp_path, monkeypatch
):
    gate = Gate()

    def keep(labels: np.ndarray, structures: int) -> Iterator[int]:
        for done in range(1, structures + 1):
            gate.wait()
            yield done

    monkeypatch.setattr(segmentation, "keep_largest_components", keep)
    options = SegmentOptions(largest_component=True)
    worker.say(segment_command(tmp_path, bright_volume(), options=options))
    gate.reached()
    worker.say(Cancel(), ProtocolError("stands for: the cancel has been read"))
    worker.hear_until(Refused)
    gate.open()
    assert worker.hear_until(Stopped) == [Phase(1, "cleaning", 1, 3), Stopped(1)]
