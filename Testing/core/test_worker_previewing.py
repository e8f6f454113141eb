"""What the client asks and says of previews, and what it does about them when things go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scripted_connection import DEATH, Clock, ScriptedClient, warm_up
from worker_conversation import CARD, MODEL, bright_volume

from GDLACore.errors import VolumeError
from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Failed,
    Loaded,
    Phase,
    PreviewDone,
    Previewed,
    Stopped,
    Warned,
)
from GDLACore.worker.array_file import map_array
from GDLACore.worker.messages import (
    Cancel,
    Load,
    ModelReady,
    Preview,
    Segment,
    SegmentFinished,
)

ALL = SegmentOptions()
LABELS = np.zeros((7, 8), np.uint8)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> Iterator[ScriptedClient]:
    client = ScriptedClient(tmp_path, cancel_s=1.5)
    warm_up(client, MODEL, CARD)
    yield client
    client.close()


def sent(client: ScriptedClient, job: int) -> Preview | Segment:
    """Return the request ``job``, once it has been sent."""
    client.poll_until(
        lambda events: any(getattr(one, "job", None) == job for one in client.present.asked)
    )
    client.poll()  # the rest of what is said of writing
    return client.present.asked[-1]


def preview(client: ScriptedClient, *indices: int, key: object = "a") -> Preview:
    """Ask for slices and return the request, once it is sent."""
    return sent(client, client.preview(bright_volume(), MODEL, indices, "smooth", key=key))


def test_slices_are_asked_for_and_come_one_by_one(client):
    job = client.preview(bright_volume(), MODEL, [3, 4], "published", key="a")
    assert client.previewing and not client.busy
    request = sent(client, job)
    assert (request.indices, request.borders, request.model) == ((3, 4), "published", MODEL)
    np.testing.assert_array_equal(map_array(Path(request.volume.array)), bright_volume().array)
    said = [
        Phase(job, "loading", 0, 1),
        Warned(job, "Hm."),
        Previewed(job, 0, 3, LABELS),
        Previewed(job, 0, 4, LABELS),
    ]
    client.present.say(*said, PreviewDone(job))
    assert client.poll() == [*said, PreviewDone(job)]
    assert not client.previewing


def test_only_one_is_outstanding_and_none_beside_a_job(client):
    preview(client, 3)
    with pytest.raises(ValueError, match="a preview is outstanding"):
        client.preview(bright_volume(), MODEL, [4], "smooth", key="a")
    client.segment(bright_volume(), MODEL, ALL)
    with pytest.raises(ValueError, match="a job is running"):
        client.preview(bright_volume(), MODEL, [4], "smooth", key="a")


@pytest.mark.parametrize(
    ("indices", "borders", "words"), [([], "smooth", "no slice"), ([1], "rough", "borders must be")]
)
def test_what_cannot_be_meant_is_refused_at_once(client, indices, borders, words):
    with pytest.raises(ValueError, match=words):
        client.preview(bright_volume(), MODEL, indices, borders, key="a")
    assert not client.previewing
    client.close()
    with pytest.raises(ValueError, match="closed"):
        client.preview(bright_volume(), MODEL, [1], "smooth", key="a")


def test_a_preview_does_not_take_the_place_of_a_model_that_is_being_loaded(client):
    client.load(MODEL)
    load = client.present.asked[-1]
    request = preview(client, 3)
    client.present.say(ModelReady(load.job, CARD, "CPU"), PreviewDone(request.job))
    assert client.poll() == [Loaded(CARD, "CPU"), PreviewDone(request.job)]


def test_a_job_takes_the_place_of_a_preview_whose_labels_are_not_heard_of_any_more(client):
    old = preview(client, 3)
    job = client.segment(bright_volume(), MODEL, ALL, key="a")
    assert not client.previewing
    request = sent(client, job)
    assert [type(one) for one in client.present.asked[-3:]] == [Preview, Cancel, Segment]
    client.present.say(Previewed(old.job, 0, 3, LABELS), PreviewDone(old.job))
    assert client.poll() == [] and client.busy
    assert request.volume == old.volume, "the same file"
    client.present.say(SegmentFinished(job, False, "CPU", 0.5))
    assert client.poll()[-1].job == job


def test_that_a_preview_ended_for_a_job_is_told(client):
    old = preview(client, 3)
    job = client.segment(bright_volume(), MODEL, ALL)
    events = client.poll_until(lambda events: events)
    assert events[0] == Stopped(old.job) and job != old.job


def test_a_preview_that_is_withdrawn_has_ended_and_another_need_not_wait(client):
    client.withdraw()  # of nothing
    assert client.poll() == [] and Cancel() not in client.present.asked
    old = preview(client, 3)
    client.withdraw()
    assert not client.previewing
    job = client.preview(bright_volume(), MODEL, [4], "smooth", key="a")
    sent(client, job)
    assert [type(one) for one in client.present.asked[-3:]] == [Preview, Cancel, Preview]
    client.present.say(Previewed(old.job, 0, 3, LABELS), Stopped(old.job), PreviewDone(job))
    assert client.poll() == [PreviewDone(job)]


def test_that_a_preview_was_withdrawn_is_told_and_no_worker_is_replaced_for_it(client, clock):
    request = preview(client, 3)
    client.withdraw()
    assert client.poll() == [Stopped(request.job)]
    clock.now += 1.6
    assert client.poll() == [] and len(client.workers) == 1


def test_what_is_said_of_an_older_preview_is_not_passed_on(client):
    old = preview(client, 3)
    client.present.say(PreviewDone(old.job))
    client.poll()
    new = preview(client, 4)
    client.present.say(Previewed(old.job, 0, 3, LABELS), PreviewDone(old.job))
    assert client.poll() == [] and client.previewing
    client.present.say(PreviewDone(new.job))
    assert client.poll() == [PreviewDone(new.job)]


def test_a_failure_is_told_with_its_number_and_the_next_preview_works(client):
    request = preview(client, 3)
    error = VolumeError("CT 5 is an MR image.")
    client.present.say(Failed(request.job, error))
    assert client.poll() == [Failed(request.job, error)]
    assert preview(client, 4).job != request.job
    assert len(client.workers) == 1


def test_cancelling_asks_the_worker_and_its_answer_ends_the_preview(client):
    request = preview(client, 3)
    client.cancel()
    assert client.present.asked[-1] == Cancel() and client.previewing
    client.present.say(PreviewDone(request.job))
    assert client.poll() == [Stopped(request.job)] and not client.previewing


def test_a_worker_that_does_not_stop_a_preview_is_replaced(client, clock):
    request = preview(client, 3)
    client.cancel()
    clock.now += 1.6
    assert client.poll() == [Stopped(request.job)]
    assert client.workers[0].killed and len(client.workers) == 2


def test_a_death_is_told_and_another_worker_made_as_warm(client):
    request = preview(client, 3)
    client.present.say(Previewed(request.job, 0, 3, LABELS))
    client.present.die()
    assert client.poll()[-1] == Failed(request.job, DEATH)
    assert len(client.workers) == 2 and not client.previewing
    (load,) = client.present.asked
    assert isinstance(load, Load) and load.model == MODEL
    assert preview(client, 4).volume == request.volume, "the file is still good"


def test_a_preview_asked_of_a_worker_that_had_died_unseen_goes_to_another(client):
    client.present.die()
    job = client.preview(bright_volume(), MODEL, [3], "smooth", key="a")
    client.poll_until(lambda events: len(client.workers) == 2 and client.present.asked)
    assert [one.job for one in client.present.asked] == [job] and client.previewing


def test_a_preview_asked_of_a_worker_that_was_just_leaving_goes_to_another(client):
    request = preview(client, 3)
    client.present.leave()
    assert client.poll() == []
    assert client.present.asked == [request] and len(client.workers) == 2
    assert Path(request.volume.array).exists()


def test_a_model_shown_in_a_preview_counts_as_ready(client):
    other = MODEL.__class__("/models/other.onnx")
    job = client.preview(bright_volume(), other, [3], "smooth", key="a")
    sent(client, job)
    client.present.say(Phase(job, "loading", 0, 1), Previewed(job, 0, 3, LABELS))
    client.poll()
    client.present.die()
    client.poll()
    assert [load.model for load in client.present.asked] == [other]


def test_closing_during_a_preview_leaves_nothing(client, tmp_path):
    preview(client, 3)
    client.close()
    assert list(tmp_path.iterdir()) == []
    assert not client.previewing and client.poll() == []
