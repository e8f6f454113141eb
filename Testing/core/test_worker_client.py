"""What the client asks of a worker, and what it says has happened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scripted_connection import DEADLINE_S, Clock, ScriptedClient
from worker_conversation import CARD, MODEL, bright_volume

from GDLACore.errors import EngineError, WorkerError
from GDLACore.options import SegmentOptions
from GDLACore.worker import Failed, Finished, Loaded, Phase, SlicesDone, Stopped, Warned
from GDLACore.worker.array_file import map_array, write_zeros
from GDLACore.worker.messages import (
    Cancel,
    Hello,
    Load,
    ModelReady,
    Segment,
    SegmentFinished,
    SegmentStarted,
    Unload,
)
from GDLACore.worker.session_files import SessionFiles

ALL = SegmentOptions()
OTHER = replace(MODEL, device="cuda")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedClient]:
    Clock(monkeypatch)  # nothing takes too long
    client = ScriptedClient(tmp_path)
    yield client
    client.close()


def begin(client: ScriptedClient, options: SegmentOptions = ALL) -> Segment:
    """Segment and return the request, once the volume is written and it is sent."""
    job = client.segment(bright_volume(), MODEL, options)
    client.present.greet()
    client.poll_until(lambda events: any(request.job == job for request in client.present.asked))
    client.poll()  # the rest of what is said of writing
    return client.present.asked[-1]


def test_nothing_is_started_before_it_is_needed(client):
    assert client.poll() == []
    client.cancel()
    client.unload()
    assert (client.workers, client.busy, client.pid, client.log()) == ([], False, None, "")


def test_starting_twice_starts_one_worker_and_greets_it_first(client):
    client.start()
    client.start()
    assert len(client.workers) == 1
    assert client.present.sent == [Hello(version=3, idle_s=600.0)]


def test_the_process_is_known_once_it_has_answered(client):
    client.start()
    client.poll()
    assert client.pid is None
    client.present.greet()
    assert client.poll() == []
    assert client.pid == client.present.pid


def test_a_model_is_loaded(client):
    client.load(MODEL)
    assert client.present.asked == [Load(1, MODEL)]
    client.present.greet()
    client.present.say(Phase(1, "loading", 0, 1), Warned(1, "Hm."), ModelReady(1, CARD, "CPU"))
    assert client.poll() == [
        Phase(None, "loading", 0, 1),
        Warned(None, "Hm."),
        Loaded(CARD, "CPU"),
    ]
    assert not client.busy


def test_a_model_that_cannot_be_loaded_is_told_without_a_job(client):
    client.load(MODEL)
    client.present.greet()
    error = EngineError("No.", "Wait.")
    client.present.say(Failed(1, error))
    assert client.poll() == [Failed(None, error)]


def test_of_several_models_only_the_last_is_heard_of(client):
    client.load(MODEL)
    client.load(OTHER)
    client.present.greet()
    client.present.say(ModelReady(1, CARD, "CPU"), ModelReady(2, CARD, "CUDA"))
    assert client.poll() == [Loaded(CARD, "CUDA")]


def test_a_job_takes_the_place_of_a_model_that_is_being_loaded(client):
    client.load(OTHER)
    request = begin(client)
    client.present.say(ModelReady(1, CARD, "CUDA"), Stopped(request.job))
    events = client.poll()
    assert [event for event in events if not isinstance(event, Phase)] == [Stopped(request.job)]


def test_the_volume_is_written_before_the_request_is_sent(client, tmp_path):
    volume = bright_volume()
    options = SegmentOptions(slices=range(2, 5), focus_slice=3)
    job = client.segment(volume, MODEL, options)
    assert client.busy
    client.present.greet()
    done = Phase(job, "writing", 20, 20)
    client.poll_until(lambda events: client.present.asked and events[-1:] == [done])
    (request,) = client.present.asked
    assert (request.job, request.model, request.options) == (job, MODEL, options)
    assert (request.volume.name, request.volume.modality) == ("CT 5", "CT")
    np.testing.assert_array_equal(map_array(Path(request.volume.array)), volume.array)
    matrix = np.reshape(request.volume.ijk_to_ras, (4, 4))
    np.testing.assert_array_equal(matrix, volume.ijk_to_ras)
    assert Path(request.labels).parent.parent == tmp_path


def test_a_job_is_heard_of_from_its_start_to_its_end(client):
    request = begin(client)
    labels = write_zeros(Path(request.labels), np.uint16, bright_volume().shape)
    done = SlicesDone(request.job, 0, (1, 2), 2, 6)
    client.present.say(
        Warned(request.job, "Hm."),
        SegmentStarted(request.job, CARD, "CPU"),
        done,
        SegmentFinished(request.job, False, "CPU", 0.5),
    )
    warned, started, *rest, last = client.poll()
    assert (warned, rest) == (Warned(request.job, "Hm."), [done])
    assert isinstance(last, Finished) and last.cleaned is None
    assert (last.job, last.device, last.seconds) == (request.job, "CPU", 0.5)
    assert (started.job, started.card, started.device) == (request.job, CARD, "CPU")
    labels[1, 2, 3] = 2
    assert started.labels[1, 2, 3] == 2 and started.labels.dtype == np.uint16
    assert not started.labels.flags.writeable
    assert not client.busy


def test_all_files_of_a_job_go_with_it_and_its_labels_stay_readable(client):
    request = begin(client)
    write_zeros(Path(request.labels), np.uint8, bright_volume().shape)[:] = 3
    client.present.say(SegmentStarted(request.job, CARD, "CPU"))
    (started,) = client.poll()
    client.present.say(SegmentFinished(request.job, False, "CPU", 0.5))
    client.poll_until(lambda events: not Path(request.volume.array).exists())
    assert not Path(request.labels).exists()
    begin(client)
    assert (started.labels == 3).all()


def test_of_a_job_that_was_cancelled_no_clean_up_is_looked_for(client):
    request = begin(client)
    client.cancel()
    client.present.say(SegmentFinished(request.job, True, "CPU", 0.5))  # too late to be stopped
    assert client.poll()[-1] == Stopped(request.job)
    assert not client.workers[0].killed


def test_what_remains_after_a_clean_up_comes_beside_what_was_there_before(client):
    request = begin(client)
    shape = bright_volume().shape
    write_zeros(Path(request.labels), np.uint8, shape)[:] = 1
    write_zeros(Path(request.cleaned), np.uint8, shape)[2:] = 1
    client.present.say(
        SegmentStarted(request.job, CARD, "CPU"), SegmentFinished(request.job, True, "CPU", 0.5)
    )
    started, finished = client.poll()
    assert started.labels.all()
    assert finished.cleaned[2:].all() and not finished.cleaned[:2].any()


def test_cleaned_labels_that_somebody_removed_are_told(client):
    request = begin(client)
    write_zeros(Path(request.labels), np.uint8, bright_volume().shape)
    client.present.say(
        SegmentStarted(request.job, CARD, "CPU"), SegmentFinished(request.job, True, "CPU", 0.5)
    )
    _, failed = client.poll()
    assert "labels-1-cleaned.npy cannot be read" in failed.error.message
    assert not client.busy


def test_labels_that_somebody_removed_are_told_and_the_next_job_works(client):
    request = begin(client)
    client.present.say(SegmentStarted(request.job, CARD, "CPU"))
    (failed,) = client.poll()
    assert "labels-1.npy cannot be read" in failed.error.message
    assert not client.busy and client.workers[0].killed
    assert begin(client).job != request.job


def test_two_jobs_at_a_time_are_refused(client):
    begin(client)
    with pytest.raises(ValueError, match="a job is running"):
        client.segment(bright_volume(), MODEL, ALL)


def test_a_job_that_fails_is_told_with_its_number_and_the_worker_stays(client):
    request = begin(client)
    error = EngineError("There is not enough memory.", "Close other programs.")
    client.present.say(Failed(request.job, error))
    assert client.poll() == [Failed(request.job, error)]
    assert len(client.workers) == 1 and not client.present.killed and not client.busy


def test_what_is_said_of_an_older_job_is_not_passed_on(client):
    begin(client)
    client.present.say(SlicesDone(77, 0, (1,), 1, 6), SegmentFinished(77, False, "CPU", 0.5))
    assert client.poll() == []
    assert client.busy


def test_cancelling_asks_the_worker_and_its_answer_ends_the_job(client):
    request = begin(client)
    client.cancel()
    assert client.present.asked[-1] == Cancel()
    assert client.poll() == [] and client.busy
    done = SlicesDone(request.job, 0, (1, 2), 2, 6)
    client.present.say(done, Stopped(request.job))
    assert client.poll() == [done, Stopped(request.job)]
    assert not client.busy


@pytest.mark.parametrize(
    "last",
    [SegmentFinished(1, True, "CPU", 0.5), Failed(1, EngineError("No."))],
    ids=["finished", "failed"],
)
def test_a_job_that_ended_as_it_was_cancelled_counts_as_stopped(client, last):
    assert begin(client).job == 1
    client.cancel()
    client.present.say(last)
    assert client.poll() == [Stopped(1)]


class SlowFolder:
    """Keeps the thread that writes the volume waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.asked, self.go_on = threading.Event(), threading.Event()

    @property
    def path(self) -> Path:
        self.asked.set()
        assert self.go_on.wait(DEADLINE_S)
        return self._path

    def remove(self) -> None:
        pass


def test_cancelling_while_the_volume_is_being_written_needs_no_worker(client, tmp_path):
    folder = SlowFolder(tmp_path)
    client._files = SessionFiles(folder)
    job = client.segment(bright_volume(), MODEL, ALL)
    client.present.greet()
    assert folder.asked.wait(DEADLINE_S)
    client.cancel()
    assert client.poll() == [Stopped(job)]
    assert not client.busy and client.present.asked == []
    folder.go_on.set()
    second = client.segment(bright_volume(), MODEL, ALL)
    client.poll_until(lambda events: client.present.asked)
    assert [request.job for request in client.present.asked] == [second]
    client.poll_until(lambda events: not (tmp_path / f"volume-{job}.npy").exists())


def test_a_model_that_is_being_loaded_can_be_cancelled(client):
    client.load(MODEL)
    client.cancel()
    assert client.present.asked == [Load(1, MODEL), Cancel()]
    client.present.greet()
    client.present.say(Stopped(1))
    assert client.poll() == [Stopped(None)]


def test_a_cancelled_model_is_told_as_stopped_when_another_takes_its_place(client):
    client.load(MODEL)
    client.cancel()
    client.load(OTHER)
    assert client.poll() == [Stopped(None)]
    client.present.greet()
    client.present.say(Stopped(1), ModelReady(2, CARD, "CUDA"))
    assert client.poll() == [Loaded(CARD, "CUDA")]


def test_the_memory_of_a_model_can_be_given_back(client):
    client.load(MODEL)
    client.unload()
    assert client.present.asked == [Load(1, MODEL), Unload()]


def test_a_volume_that_cannot_be_written_ends_the_job_and_the_next_one_works(client, monkeypatch):
    def no_room(*_: object) -> None:
        raise WorkerError("There is no room.", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr("GDLACore.worker.session_files.write_array", no_room)
        job = client.segment(bright_volume(), MODEL, ALL)
        client.present.greet()
        (failed,) = client.poll_until(bool)
    assert (failed.job, failed.error.message) == (job, "There is no room.")
    assert not client.busy
    begin(client)


def test_closing_ends_the_worker_and_removes_everything(client, tmp_path):
    begin(client)
    client.close()
    assert client.present.closed
    assert list(tmp_path.iterdir()) == []
    assert (client.busy, client.pid, client.poll()) == (False, None, [])
    client.close()
    for request in client.start, lambda: client.load(MODEL):
        with pytest.raises(ValueError, match="closed"):
            request()


def test_closing_what_was_never_used_leaves_nothing(client, tmp_path):
    client.close()
    assert list(tmp_path.iterdir()) == [] and client.workers == []
