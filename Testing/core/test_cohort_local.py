"""A process that dies of a study costs that study, and no other."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

pytest.importorskip("PIL")
import SimpleITK
from cohorts import BrightEngine, process_here, study, timeless, use_engine, write_study
from fragile_worker import (
    fragile_worker,
    worker_that_dies_at_once,
    worker_that_gets_ctrl_c,
    worker_without_a_device,
)
from phantom import make_card

from GDLACore.cohort.local import local_process
from GDLACore.cohort.plan import find_studies
from GDLACore.cohort.record import CRASH
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import DeviceError, EngineError

HERE = Path(__file__).resolve().parent
DEADLINE_S = 60

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@pytest.fixture
def settings(tmp_path: Path) -> BatchSettings:
    return BatchSettings(tmp_path / "out")


@pytest.fixture
def children() -> Callable[[], set[BaseProcess]]:
    """Return a function that returns the processes of this test; others may have left some."""
    others = set(multiprocessing.active_children())
    return lambda: set(multiprocessing.active_children()) - others


def test_only_the_study_that_kills_fails(tmp_path, settings, monkeypatch, caplog, children):
    for number, name in enumerate(("a", "deadly", "strange", "z")):
        write_study(tmp_path / f"in/{name}.nii.gz", number)
    strange = SimpleITK.Abs(SimpleITK.ReadImage(str(tmp_path / "in/strange.nii.gz")))
    SimpleITK.WriteImage(strange, str(tmp_path / "in/strange.nii.gz"))
    plan = find_studies([tmp_path / "in"])
    with caplog.at_level(logging.WARNING):
        records = list(local_process(settings, fragile_worker)(plan))
    assert sorted(record.name for record in records) == [one.name for one in plan]
    found = {record.name: record for record in records}
    deadly = found.pop("deadly")
    assert (deadly.status, deadly.error_kind) == ("failed", CRASH)
    assert "was killed" in deadly.error
    # What is warned of there is told here.
    assert "strange shows neither air nor fat" in caplog.text

    use_engine(monkeypatch, BrightEngine(make_card()))
    elsewhere = BatchSettings(tmp_path / "elsewhere")
    sound = [one for one in plan if one.name != "deadly"]
    here = process_here(elsewhere)(sound)
    assert timeless([found[one.name] for one in sound]) == timeless(list(here))
    assert children() == set()


def test_what_the_worker_refuses_is_refused_here_in_the_same_words(tmp_path, settings):
    path = write_study(tmp_path / "ct.nii.gz")
    with pytest.raises(DeviceError) as caught:
        list(local_process(settings, worker_without_a_device)([study(path)]))
    assert (caught.value.message, caught.value.hint) == (
        "There is no such device.",
        "Choose another.",
    )


def test_a_process_that_dies_of_its_model_is_no_study_s_fault(tmp_path, settings):
    path = write_study(tmp_path / "ct.nii.gz")
    with pytest.raises(EngineError, match="was killed.* while the model was loaded"):
        list(local_process(settings, worker_that_dies_at_once)([study(path)]))


def test_ctrl_c_while_the_process_starts_is_for_the_command_alone(tmp_path, settings):
    write_study(tmp_path / "in/a.nii.gz")
    plan = find_studies([tmp_path / "in"])
    with closing(local_process(settings, worker_that_gets_ctrl_c)(plan)) as records:
        assert next(records).done
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_nothing_runs_on_when_nobody_wants_more(tmp_path, settings, children):
    for name in ("a", "b", "endless"):
        write_study(tmp_path / f"in/{name}.nii.gz")
    plan = find_studies([tmp_path / "in"])
    with closing(local_process(settings, fragile_worker)(plan)) as records:
        assert next(records).done
    assert children() == set()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_nothing_runs_on_when_the_command_is_killed(tmp_path, settings):
    write_study(tmp_path / "in/endless.nii.gz")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    code = "from fragile_worker import run_until_killed as run; import sys; run(*sys.argv[1:])"
    command = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")], env=environment
    )
    try:
        wait_for(lambda: (tmp_path / "in/reading").exists())
        pid = int((tmp_path / "in/reading").read_text())
        assert Path(f"/proc/{pid}").exists() and pid != command.pid
    finally:
        command.kill()
        command.wait()
    wait_for(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(reached) -> None:
    timer = threading.Event()
    for _ in range(DEADLINE_S * 100):
        if reached():
            return
        timer.wait(0.01)
    raise AssertionError("nothing happened")
