"""The worker's process ends in every way there is: one clear error, and the next request works."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from observer import FAULTY, MODEL, NO_SENSE, Observer, ct, faulty_worker, is_running, wait_until

from GDLACore.errors import EngineError, WorkerError
from GDLACore.worker import Failed, Finished, Loaded, SlicesDone, Started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signals")


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (
            "die",
            "The background process was ended from outside (SIGKILL).",
            "memory is short",
        ),
        (
            "crash",
            'The background process crashed (SIGSEGV), saying "Fatal Python error: Segmentation '
            'fault".',
            "device cpu",
        ),
        pytest.param(
            "abort",
            'The background process crashed (SIGABRT), saying "Fatal Python error: Aborted".',
            "device cpu",
            marks=pytest.mark.slow,
        ),
        (
            "leave",
            'The background process ended with exit code 3, saying "some library: giving up".',
            "report it",
        ),
        (
            "babble",
            f"{NO_SENSE} is not JSON: "
            r"b'\x00\xff Segmenting... 50%\n'.",
            "Try again",
        ),
        pytest.param(
            "babble_without_end",
            f"{NO_SENSE} is not JSON: b'{'x' * 50}'….",
            "Try again",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_worker_is_lost_and_another_takes_its_place(observe, fault, message, hint):
    observer: Observer = observe(fault)
    error = observer.error()
    assert isinstance(error, WorkerError)
    assert error.message == message
    assert hint in error.hint
    assert isinstance(observer.events[-2], SlicesDone), "the first batch had been announced"
    assert isinstance(observer.heard(Loaded), Loaded), "the model is made ready again"
    finished = observer.segment()
    assert isinstance(finished, Finished)
    assert len(observer.pids) == 2


def test_memory_that_the_system_refuses_is_told_and_the_worker_goes_on(observe):
    observer: Observer = observe("run_out_of_memory")
    error = observer.error()
    assert type(error) is EngineError
    assert error.message == "There is not enough memory."
    assert isinstance(observer.segment(), Finished)
    assert len(observer.pids) == 1


def test_what_libraries_print_is_harmless_and_goes_to_the_log(observe):
    observer: Observer = observe("print_natively")
    assert isinstance(observer.segment(FAULTY), Finished)
    for words in (
        "from file descriptor 1",
        "from Python's print",
        "from the first stdout",
        "from C's puts",
    ):
        observer.until(lambda words=words: words in observer.client.log())
    assert len(observer.pids) == 1


def test_the_log_is_kept_to_its_end_and_no_longer_than_that(observe):
    observer: Observer = observe("complain_at_length")
    assert isinstance(observer.segment(FAULTY), Finished)
    observer.until(lambda: observer.client.log().endswith("the end of the log\n"))
    assert len(observer.client.log()) <= 65_536


def test_what_the_worker_had_started_ends_with_it(observe):
    observer: Observer = observe("die_after_starting_another")
    observer.error()
    child = int(observer.client.log().partition("child ")[2].split()[0])
    wait_until(lambda: not is_running(child))


def test_the_labels_of_finished_slices_outlive_the_worker(observe):
    observer: Observer = observe("die")
    observer.error()
    started = next(event for event in observer.events if isinstance(event, Started))
    done = next(event for event in observer.events if isinstance(event, SlicesDone))
    expected = ct().array > 0
    for index in done.indices:
        assert (started.labels[index] == expected[index]).all()


@pytest.mark.slow
def test_a_worker_killed_while_idle_bothers_nobody(observe):
    observer: Observer = observe()
    observer.client.load(MODEL)
    observer.ends()
    os.kill(observer.client.pid, signal.SIGKILL)
    observer.until(lambda: observer.client.pid is None)
    assert isinstance(observer.segment(), Finished)
    assert not any(isinstance(event, Failed) for event in observer.events)


def test_a_worker_killed_the_moment_before_a_request_bothers_nobody(observe):
    observer: Observer = observe()
    observer.client.load(MODEL)
    observer.ends()
    os.kill(observer.client.pid, signal.SIGKILL)
    assert isinstance(observer.segment(), Finished)


def test_a_launcher_between_client_and_worker_changes_nothing(observe, tmp_path: Path):
    launcher = tmp_path / "Python Slicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(0o755)

    python = [str(launcher), *faulty_worker("compute_forever")[1:]]
    observer: Observer = observe(python=python, cancel_s=0.3)
    assert isinstance(observer.segment(), Finished)
    worker = observer.client.pid
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.at_fault()
    observer.client.cancel()
    observer.ends()
    wait_until(lambda: not is_running(worker))
    assert isinstance(observer.segment(), Finished)
