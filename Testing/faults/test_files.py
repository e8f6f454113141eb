"""A full disk, a model that is taken away, a volume beyond all bounds, and clients that vanish."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from observer import FAULTY, HARMLESS, MODEL, Observer, ct, is_running, wait_until

from GDLACore.errors import ModelFileError, WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.worker import Failed, Finished, Loaded, ModelRequest

HERE = Path(__file__).resolve().parent


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process, or of one that it starts, grow beyond ``size`` bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_room(megabytes: int, folder: Path) -> str:
    return f"There is no room for {megabytes} MB of temporary files in {folder}/"


def test_a_disk_without_room_for_the_volume_is_told(observe, small_disk):
    observer: Observer = observe(folder=small_disk)
    failed = observer.segment(volume=ct((40, 200, 250)))
    assert type(failed.error) is WorkerError
    assert failed.error.message.startswith(no_room(4, small_disk))
    assert "Free some space" in failed.error.hint
    assert isinstance(observer.segment(), Finished)
    observer.client.close()
    assert list(small_disk.iterdir()) == []


def test_a_disk_without_room_for_the_labels_is_told_and_the_worker_lives(observe, small_disk):
    observer: Observer = observe(folder=small_disk)
    failed = observer.segment(volume=ct((50, 200, 120)))  # 2.4 MB and 1.2 MB
    assert type(failed.error) is WorkerError
    assert failed.error.message.startswith(no_room(1, small_disk))
    assert isinstance(observer.segment(), Finished)
    assert len(observer.pids) == 1
    observer.client.close()


@pytest.mark.slow
def test_a_disk_that_another_program_fills_meanwhile_is_told(observe, small_disk):
    observer: Observer = observe(folder=small_disk)
    assert isinstance(observer.segment(), Finished)
    ballast = small_disk / "of another program"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - (1 << 20)))
    assert no_room(2, small_disk) in observer.segment(volume=ct((40, 200, 130))).error.message
    ballast.unlink()
    assert isinstance(observer.segment(volume=ct((40, 200, 130))), Finished)
    observer.client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_file_that_may_not_grow_so_far_is_told(observe):
    observer: Observer = observe()
    assert isinstance(observer.segment(), Finished)
    with largest_file(1_000_000):
        failed = observer.segment(volume=ct((60, 200, 100)))
    assert "There is no room for 2 MB of temporary files" in failed.error.message
    assert isinstance(observer.segment(volume=ct((60, 200, 100))), Finished)


def test_a_volume_larger_than_any_disk_is_told_at_once(observe):
    endless = np.broadcast_to(np.int16(0), (50_000, 50_000, 20_000))
    observer: Observer = observe()
    failed = observer.segment(volume=Volume(endless, np.eye(4), "CT 5"))
    assert "There is no room for 100,000,000 MB of temporary files" in failed.error.message
    assert isinstance(observer.segment(), Finished)


def test_a_model_that_was_deleted_after_it_was_loaded_is_told(observe, tmp_path, tiny_model):
    path = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
    model = ModelRequest(str(path), device="cpu")
    observer: Observer = observe(python=[sys.executable])
    observer.client.load(model)
    assert isinstance(observer.ends(), Loaded)
    path.unlink()
    failed = observer.segment(model=model)
    assert type(failed.error) is ModelFileError
    assert failed.error.message == f"{path} does not exist."
    shutil.copy(tiny_model, path)
    assert isinstance(observer.segment(model=model), Finished)
    assert len(observer.pids) == 1


@pytest.mark.slow
def test_a_model_that_was_overwritten_with_something_else_is_told(observe, tmp_path, tiny_model):
    path = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
    model = ModelRequest(str(path), device="cpu")
    observer: Observer = observe(python=[sys.executable])
    assert isinstance(observer.segment(model=model), Finished)
    path.write_bytes(b"not a model")
    assert "is not an ONNX file" in observer.segment(model=model).error.message


CLIENT = f"""
    import sys
    sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent / "core")!r}, {str(HERE.parents[1])!r}]
    from observer import FAULTY, MODEL, Observer, ct, faulty_worker
    from GDLACore.worker import SlicesDone
    observer = Observer(python=faulty_worker("compute_forever"), folder=sys.argv[1])
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.heard(SlicesDone)
    print(observer.client.pid, flush=True)
"""


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit()"],
    ids=["killed", "left without closing"],
)
def test_when_the_client_is_gone_neither_the_worker_nor_a_file_stays(tmp_path, end):
    program = textwrap.dedent(CLIENT) + f"import os, signal; {end}"
    client = subprocess.run(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, timeout=60
    )
    worker = int(client.stdout)
    wait_until(lambda: not is_running(worker))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_halted_when_its_client_was_killed_is_cleared_away_by_the_next_client(tmp_path):
    program = textwrap.dedent(CLIENT) + (
        "import os, signal; os.kill(observer.client.pid, signal.SIGSTOP)\n"
        "from observer import is_halted, wait_until\n"
        "wait_until(lambda: is_halted(observer.client.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    client = subprocess.run(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, timeout=60
    )
    (left,) = tmp_path.iterdir()
    observer = Observer(folder=tmp_path)
    observer.client.start()
    observer.until(lambda: observer.client.pid is not None)
    assert not left.exists()
    os.kill(int(client.stdout), signal.SIGCONT)
    wait_until(lambda: not is_running(int(client.stdout)))
    observer.client.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_clients_do_not_disturb_each_other(observe):
    first, second = observe("die"), observe()
    first.client.segment(ct(), MODEL, FAULTY)
    second.client.segment(ct(), MODEL, HARMLESS)
    assert isinstance(second.ends(), Finished)
    assert isinstance(first.ends(), Failed)
    second.client.close()
    assert isinstance(first.segment(), Finished)
