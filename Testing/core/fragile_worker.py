"""A worker whose process dies of some studies, for processes that are started anew to import."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from cohorts import BrightEngine, use_engine
from phantom import make_card

from GDLACore.cohort import worker
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.errors import DeviceError
from GDLACore.imaging.volume import Volume

_READ = worker.read_volume


def fragile_worker(settings: BatchSettings) -> StudyWorker:
    """Return a worker that dies of studies called deadly, and never ends with endless ones."""
    monkeypatch = pytest.MonkeyPatch()
    use_engine(monkeypatch, BrightEngine(make_card()))
    monkeypatch.setattr(worker, "read_volume", _read)
    return StudyWorker(settings)


def _read(path: Path) -> Volume:
    if path.name.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name.startswith("endless"):
        path.with_name("pid").write_text(str(os.getpid()))
        path.with_name("pid").rename(path.with_name("reading"))
        threading.Event().wait()
    return _READ(path)


def worker_without_a_device(settings: BatchSettings) -> StudyWorker:
    raise DeviceError("There is no such device.", "Choose another.")


def worker_that_gets_ctrl_c(settings: BatchSettings) -> StudyWorker:
    """Return a worker after a Ctrl-C such as one gets that is still importing."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    return fragile_worker(settings)


def worker_that_dies_at_once(settings: BatchSettings) -> StudyWorker:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


def run_until_killed(inputs: str, out: str) -> None:
    """Run a cohort; for a process of a test to be killed."""
    from GDLACore.cohort.local import local_process
    from GDLACore.cohort.plan import find_studies

    settings = BatchSettings(Path(out))
    for _ in local_process(settings, fragile_worker)(find_studies([Path(inputs)])):
        pass
