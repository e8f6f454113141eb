"""A worker that hangs is found out, and one that does not stop is made to, in bounded time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observer import (
    DEADLINE_S,
    FAULTY,
    MODEL,
    SLOW_MODEL,
    Observer,
    ct,
    is_running,
    wait_until,
)

from GDLACore.worker import Failed, Finished, Loaded, Phase, Stopped

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signals")

SLOW_HOLD, SLOW_COMPUTE = (
    pytest.param(fault, marks=pytest.mark.slow) for fault in ("hold_python", "compute_forever")
)

_SILENCE_S = 1.5  # borne by a client that knows of the fault, and by no other on a busy machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", ["halt", SLOW_HOLD])
def test_a_worker_that_shows_no_life_is_replaced(observe, fault):
    observer: Observer = observe(fault, silence_s=DEADLINE_S)
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.at_fault()
    observer.bear_silence(_SILENCE_S)
    failed = observer.ends()
    observer.bear_silence(DEADLINE_S)
    assert failed.error.message == "The background process has not answered for 2 seconds."
    assert "It was ended" in failed.error.hint
    assert isinstance(observer.heard(Loaded), Loaded)
    assert isinstance(observer.segment(), Finished)
    assert len(observer.pids) == 2
    wait_until(lambda: sum(map(is_running, observer.pids)) == 1)


def test_a_long_computation_is_no_hang(observe):
    observer: Observer = observe("compute_forever", silence_s=DEADLINE_S)
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.at_fault()
    observer.hear_signs_of_life(2)
    assert observer.client.busy
    assert len(observer.pids) == 1


@pytest.mark.parametrize("fault", ["compute_forever", "halt", SLOW_HOLD])
def test_a_worker_that_does_not_stop_is_killed_and_another_made_as_warm(observe, fault):
    observer: Observer = observe(fault, cancel_s=0.3)
    job = observer.client.segment(ct(), MODEL, FAULTY)
    observer.at_fault()
    worker = observer.client.pid
    observer.client.cancel()
    assert observer.ends() == Stopped(job)
    wait_until(lambda: not is_running(worker))
    assert isinstance(observer.heard(Loaded), Loaded)
    assert isinstance(observer.segment(), Finished)


def test_a_worker_that_listens_is_stopped_and_stays(observe):
    observer: Observer = observe("wait_for_leave", cancel_s=DEADLINE_S)
    job = observer.client.segment(ct((2000, 7, 8)), MODEL, FAULTY)
    session = observer.at_fault()
    observer.client.cancel()
    (session / "go on").touch()
    assert observer.ends() == Stopped(job)
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
    observer.at_fault()
    begin = time.monotonic()
    observer.client.close()
    # It is given 2 s, on a machine that has nothing else on.
    assert time.monotonic() - begin < DEADLINE_S / 2
    wait_until(lambda: not any(map(is_running, observer.pids)))


def test_a_worker_that_was_halted_while_idle_is_replaced_when_it_is_needed(observe):
    observer: Observer = observe(silence_s=DEADLINE_S)
    observer.client.load(MODEL)
    observer.ends()
    os.kill(observer.client.pid, signal.SIGSTOP)
    observer.bear_silence(_SILENCE_S)
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.until(lambda: observer.client.pid is None)
    observer.bear_silence(DEADLINE_S)
    assert isinstance(observer.ends(), Finished)
    assert len(observer.pids) == 2
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


def test_signs_of_life_go_on_while_what_libraries_print_is_caught(tmp_path):
    program = """
import sys
from GDLACore.engine.native_output import captured_output
from GDLACore.worker import process_server
from GDLACore.worker.messages import Alive
client = process_server._Client(sys.stdin.buffer, open(sys.stdout.fileno(), "wb", 0))
with captured_output():
    client.send(Alive())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
    )
    assert done.stdout == b'{"type":"alive"}\n', done.stderr
