"""A worker that hangs is found out, and one that does not stop is made to, in bounded time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observer import FAULTY, MODEL, SLOW_MODEL, Observer, ct, is_running, wait_until

from GDLACore.worker import Failed, Finished, Loaded, Phase, SlicesDone, Stopped

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signals")

SLOW_HOLD, SLOW_COMPUTE = (
    pytest.param(fault, marks=pytest.mark.slow) for fault in ("hold_python", "compute_forever")
)

_SILENCE_S = 1.5  # longer than between two signs of life


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", ["halt", SLOW_HOLD])
def test_a_worker_that_shows_no_life_is_replaced(observe, fault):
    observer: Observer = observe(fault, silence_s=_SILENCE_S)
    error = observer.error()
    assert error.message == "The background process has not answered for 2 seconds."
    assert "It was ended" in error.hint
    assert isinstance(observer.heard(Loaded), Loaded)
    assert isinstance(observer.segment(), Finished)
    first, second = sorted(observer.pids)
    wait_until(lambda: not (is_running(first) and is_running(second)))


def test_a_long_computation_is_no_hang(observe):
    observer: Observer = observe("compute_forever", silence_s=1.2)
    observer.client.segment(ct(), MODEL, FAULTY)
    begin = time.monotonic()
    observer.until(lambda: time.monotonic() > begin + 2)
    assert observer.client.busy
    assert len(observer.pids) == 1


@pytest.mark.parametrize("fault", ["compute_forever", "halt", SLOW_HOLD])
def test_a_worker_that_does_not_stop_is_killed_and_another_made_as_warm(observe, fault):
    observer: Observer = observe(fault, cancel_s=0.3)
    job = observer.client.segment(ct(), MODEL, FAULTY)
    observer.heard(SlicesDone)
    worker = observer.client.pid
    observer.client.cancel()
    assert observer.ends() == Stopped(job)
    wait_until(lambda: not is_running(worker))
    assert isinstance(observer.heard(Loaded), Loaded)
    assert isinstance(observer.segment(), Finished)


def test_a_worker_that_listens_is_stopped_and_stays(observe):
    observer: Observer = observe(cancel_s=60)
    job = observer.client.segment(ct((2000, 7, 8)), MODEL, FAULTY)
    done = observer.heard(SlicesDone)
    observer.client.cancel()
    assert observer.ends() == Stopped(job)
    assert done.total == 2000
    assert isinstance(observer.segment(), Finished)
    assert len(observer.pids) == 1


def test_loading_that_does_not_stop_is_killed(observe):
    observer: Observer = observe(cancel_s=0.3)
    observer.client.load(SLOW_MODEL)
    observer.heard(Phase)
    observer.client.cancel()
    assert observer.ends() == Stopped(None)
    assert isinstance(observer.segment(), Finished)


@pytest.mark.slow
def test_a_job_can_be_cancelled_while_its_model_is_loading(observe):
    observer: Observer = observe(cancel_s=0.3)
    job = observer.client.segment(ct(), SLOW_MODEL, FAULTY)
    observer.until(lambda: Phase(job, "loading", 0, 1) in observer.events)
    observer.client.cancel()
    assert observer.ends() == Stopped(job)
    assert isinstance(observer.segment(), Finished)


@pytest.mark.parametrize("fault", [SLOW_COMPUTE, "halt", SLOW_HOLD])
def test_closing_ends_a_worker_whatever_it_is_doing(observe, fault):
    observer: Observer = observe(fault)
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.heard(SlicesDone)
    begin = time.monotonic()
    observer.client.close()
    assert time.monotonic() - begin < 10  # it is given 2 s, on a machine that has nothing else on
    assert not is_running(observer.pids.pop())


def test_a_worker_that_was_halted_while_idle_is_replaced_when_it_is_needed(observe):
    observer: Observer = observe(silence_s=_SILENCE_S)
    observer.client.load(MODEL)
    observer.ends()
    os.kill(observer.client.pid, signal.SIGSTOP)
    assert isinstance(observer.segment(), Finished)
    assert not any(isinstance(event, Failed) for event in observer.events)


@pytest.mark.slow
def test_a_worker_whose_python_is_stuck_ends_by_itself_when_nobody_is_left_to_kill_it(tmp_path):
    program = """
import ctypes, sys
from GDLACore.worker import process_server
from GDLACore.worker.messages import Alive
process_server._STUCK_S = 1.0
client = process_server._Client(sys.stdin.buffer, open(sys.stdout.fileno(), "wb", 0))
client.send(Alive())
ctypes.PyDLL(None).sleep(600)  # holds Python's lock
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert b"Timeout" in done.stderr
