"""Work in the background: its events come when they are asked for, and it always ends."""

from __future__ import annotations

import ctypes
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from file_server import served, whole

from GDLACore.errors import Cancelled, GDLAError, ModelFileError
from GDLACore.storage import (
    Control,
    Event,
    Failed,
    Finished,
    Progress,
    RemoteFile,
    Stopped,
    Task,
    download,
)


def ended(task: Task) -> list[Event]:
    """Return all events of ``task`` once it has ended."""
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while task.active:
        assert time.monotonic() < deadline
        events += task.poll()
    return events


@pytest.fixture
def stuck() -> Iterator[Callable[[Control], None]]:
    """Return work that does not hear that it is to stop, as a look-up of a host does not."""
    gate = threading.Event()
    yield lambda control: gate.wait(60)
    gate.set()


def test_the_result_is_the_last_event(tmp_path):
    task = Task(lambda control: tmp_path)
    assert ended(task) == [Finished(tmp_path)]
    assert task.poll() == [] and not task.active


@pytest.mark.skipif(sys.platform == "win32", reason="usleep is POSIX's")
def test_the_work_goes_on_where_the_caller_keeps_the_interpreter_to_itself():
    keep = ctypes.PyDLL(None).usleep  # as the event loop of 3D Slicer does

    steps = 0

    def work(control: Control) -> str:
        nonlocal steps
        data = bytes(200_000)
        for _ in range(400):
            hashlib.sha256(data)  # gives the interpreter away, as reading from a server does
            steps += 1
        return "done"

    task, done = Task(work), []
    deadline = time.monotonic() + 60
    while task.active:
        assert time.monotonic() < deadline
        keep(1000)
        before = steps
        task.poll()
        done.append(steps - before)
    assert steps == 400
    # Of all polls, for on a busy computer the thread may have no turn during some of them.
    assert max(done) > 4, "it would be one at each poll"


def test_only_the_latest_progress_is_kept():
    told, go_on = threading.Event(), threading.Event()

    def work(control: Control) -> str:
        for done in range(1000):
            control.report("reading", done, 1000)
        told.set()
        go_on.wait(60)
        return "done"

    task = Task(work)
    assert told.wait(60)
    assert task.poll() == [Progress("reading", 999, 1000)]
    assert task.poll() == []
    go_on.set()
    assert ended(task) == [Finished("done")]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModelFileError("x.onnx is empty.", "Copy it."), "x.onnx is empty. Copy it."),
        (MemoryError(), "There is not enough memory."),
        (KeyError("weights"), "Unexpected KeyError: 'weights'."),
    ],
)
def test_every_failure_is_an_error_to_show(error, message):
    def work(control: Control) -> None:
        raise error

    (event,) = ended(Task(work))
    assert isinstance(event, Failed) and isinstance(event.error, GDLAError)
    assert message in str(event.error)


def test_a_cancelled_task_stops_at_its_next_report():
    begun = threading.Event()

    def work(control: Control) -> None:
        while True:
            control.report("reading", 0, None)
            begun.set()

    task = Task(work)
    assert begun.wait(60)
    task.cancel()
    task.cancel()
    assert ended(task)[-1] == Stopped()


def test_a_wait_is_ended_by_a_cancellation():
    waiting = threading.Event()

    def work(control: Control) -> None:
        waiting.set()
        control.wait(60)

    task = Task(work)
    assert waiting.wait(60)
    task.cancel()
    assert ended(task) == [Stopped()]


def test_work_that_does_not_listen_is_left_alone(stuck):
    task = Task(stuck, cancel_s=0.05)
    task.cancel()
    assert ended(task) == [Stopped()]


def test_what_a_left_task_returns_is_not_told():
    gate = threading.Event()
    task = Task(lambda control: gate.wait(60), cancel_s=0)
    task.cancel()
    assert task.poll() == [Stopped()]
    gate.set()
    task.close()
    assert task.poll() == []


def test_a_task_that_was_done_already_is_finished_and_not_stopped():
    task = Task(lambda control: 3)
    task._thread.join(60)
    task.cancel()
    assert task.poll() == [Finished(3)]


def test_after_closing_there_are_no_events(stuck):
    task = Task(stuck, cancel_s=0.01)
    task.close()
    assert not task.active and task.poll() == []
    task.close()


def test_an_interruption_that_fails_does_no_harm():
    control = Control()

    def broken() -> None:
        raise OSError("not connected")

    with pytest.raises(Cancelled), control.interrupted_by(broken):
        control.cancel()
        raise ValueError("read of closed file")


def test_an_error_that_no_cancellation_caused_stays_what_it_is():
    with pytest.raises(ValueError), Control().interrupted_by(lambda: None):
        raise ValueError


def test_a_download_in_the_background_can_be_stopped_and_continued(tmp_path):
    body = bytes(range(256)) * 4000
    sha256 = hashlib.sha256(body).hexdigest()
    with served(body) as server:
        server.script = [whole(hang_after=500_000)]
        remote = RemoteFile("m.ckpt", server.url, sha256)
        # Stopped when the first is through with the file, and not after a while in any case.
        task = Task(lambda control: download(remote, tmp_path, control), cancel_s=60)
        assert server.reached.wait(60)
        task.cancel()
        assert ended(task)[-1] == Stopped()
        task = Task(lambda control: download(remote, tmp_path, control))
        events = ended(task)
        assert events[-1] == Finished(tmp_path / "m.ckpt")
        assert (tmp_path / "m.ckpt").read_bytes() == body
