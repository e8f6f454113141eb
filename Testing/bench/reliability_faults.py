"""The faults of reliability.py: how each is brought about, what is said, and how long that takes.

Workers, engines and disks are those of the tests in Testing/faults.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from observer import (
    ENDS,
    FAULTY,
    HARMLESS,
    MODEL,
    Observer,
    ct,
    faulty_worker,
    is_running,
    wait_until,
)
from tiny_model import write_tiny_model

from GDLACore.imaging.volume import Volume
from GDLACore.worker import Event, Failed, Finished, ModelRequest, SlicesDone, Stopped

FAULTS = Path(faulty_worker("none")[1]).parent


@dataclass(frozen=True)
class Fault:
    """``bring_about`` is given an empty folder for temporary files."""

    name: str
    how: str
    bring_about: Callable[[Path], Outcome]


@dataclass(frozen=True)
class Outcome:
    """What the user sees; seconds until then, and from then until another request is done.

    None where there is nothing to wait for.
    """

    seen: str
    told_s: float | None
    works_s: float | None


def while_computing(fault: str, **settings: object) -> Callable[[Path], Outcome]:
    """Return what happens when the second batch of slices meets ``fault``."""

    def bring_about(folder: Path) -> Outcome:
        with observed(folder, python=faulty_worker(fault), **settings) as observer:
            observer.client.segment(ct(), MODEL, FAULTY)
            observer.heard(SlicesDone)
            return outcome(observer)

    return bring_about


def cancelled(fault: str) -> Callable[[Path], Outcome]:
    """Return what happens when the user cancels while the second batch does not end."""

    def bring_about(folder: Path) -> Outcome:
        with observed(folder, python=faulty_worker(fault)) as observer:
            observer.client.segment(ct(), MODEL, FAULTY)
            observer.heard(SlicesDone)
            observer.client.cancel()
            return outcome(observer)

    return bring_about


def at_start(fault: str) -> Callable[[Path], Outcome]:
    """Return what happens when the process starts with ``fault``, which is then mended."""

    def bring_about(folder: Path) -> Outcome:
        broken = folder.parent / "broken"
        broken.touch()
        with observed(folder, python=faulty_worker(f"{fault}:{broken}")) as observer:
            observer.client.start()
            return outcome(observer, broken.unlink)

    return bring_about


def missing_program(folder: Path) -> Outcome:
    launcher = folder.parent / "PythonSlicer"
    with observed(folder, python=[str(launcher), *faulty_worker("none")[1:]]) as observer:
        observer.client.start()
        return outcome(observer, lambda: launcher.symlink_to(sys.executable))


def killed_while_idle(folder: Path) -> Outcome:
    with observed(folder, python=faulty_worker("none")) as observer:
        observer.segment()
        os.kill(observer.client.pid, signal.SIGKILL)
        observer.until(lambda: observer.client.pid is None)
        return Outcome("nothing", None, works(observer))


def small_disk(shape: tuple[int, int, int]) -> Callable[[Path], Outcome]:
    """Return what happens on a disk of 3 MB."""

    def bring_about(folder: Path) -> Outcome:
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "gdla-bench", str(folder)]
        subprocess.run(mount, check=True)
        try:
            with observed(folder, python=faulty_worker("none")) as observer:
                observer.segment()
                observer.client.segment(ct(shape), MODEL, FAULTY)
                return outcome(observer)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return bring_about


def limited_file(folder: Path) -> Outcome:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with observed(folder, python=faulty_worker("none")) as observer:
        observer.segment()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        observer.client.segment(ct((60, 200, 100)), MODEL, FAULTY)
        return outcome(observer, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))


def endless_volume(folder: Path) -> Outcome:
    endless = np.broadcast_to(np.int16(0), (50_000, 50_000, 20_000))
    with observed(folder, python=faulty_worker("none")) as observer:
        observer.segment()
        observer.client.segment(Volume(endless, np.eye(4), "CT 5"), MODEL, FAULTY)
        return outcome(observer)


def deleted_model(folder: Path) -> Outcome:
    path = write_tiny_model(folder.parent / "model.onnx")
    kept = shutil.copy(path, folder.parent / "kept.onnx")
    model = ModelRequest(str(path), device="cpu")
    with observed(folder) as observer:
        observer.client.load(model)
        observer.ends()
        path.unlink()
        observer.client.segment(ct(), model, FAULTY)
        return outcome(observer, lambda: shutil.copy(kept, path), model)


_CLIENT = f"""
    import os, signal, sys
    sys.path[:0] = {[str(FAULTS), str(FAULTS.parent / "core"), str(FAULTS.parents[1])]!r}
    from observer import FAULTY, MODEL, Observer, ct, faulty_worker
    from GDLACore.worker import SlicesDone
    observer = Observer(python=faulty_worker("compute_forever"), folder=sys.argv[1])
    observer.client.segment(ct(), MODEL, FAULTY)
    observer.heard(SlicesDone)
    print(observer.client.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_client(folder: Path) -> Outcome:
    client = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CLIENT), folder], stdout=subprocess.PIPE, text=True
    )
    begin = time.monotonic()
    wait_until(lambda: not is_running(int(client.stdout)) and not any(folder.iterdir()))
    seconds = time.monotonic() - begin
    with observed(folder, python=faulty_worker("none")) as observer:
        return Outcome(
            f"nothing; the worker and its files were gone after {seconds:.2f} s",
            None,
            works(observer),
        )


@contextmanager
def observed(folder: Path, **settings: object) -> Iterator[Observer]:
    """Yield an observer; afterwards nothing of it may be left."""
    observer = Observer(folder=folder, **settings)
    try:
        yield observer
    finally:
        observer.client.close()
    assert not any(is_running(pid) for pid in observer.pids)
    assert not any(folder.iterdir())


def outcome(
    observer: Observer,
    mend: Callable[[], object] = lambda: None,
    model: ModelRequest = MODEL,
) -> Outcome:
    """Wait for the end of what is going on, mend what was wrong and try again."""
    begin = time.monotonic()
    end: Event = observer.heard(*ENDS)
    told = None if isinstance(end, Finished) else time.monotonic() - begin
    mend()
    return Outcome(words(end), told, works(observer, model))


def works(observer: Observer, model: ModelRequest = MODEL) -> float:
    """Return the seconds that a request of six slices takes now; it has to succeed."""
    begin = time.monotonic()
    end = observer.segment(HARMLESS, model=model)
    assert isinstance(end, Finished), end
    return time.monotonic() - begin


def words(event: Event) -> str:
    if isinstance(event, Failed):
        return str(event.error)
    return {Stopped: "stopped, as asked", Finished: "nothing; the job goes on"}[type(event)]


ALL = (
    Fault(
        "worker killed", "SIGKILL, as the system does when memory is short", while_computing("die")
    ),
    Fault(
        "memory refused",
        "limit on the address space (RLIMIT_AS), then 1 GiB asked for",
        while_computing("run_out_of_memory"),
    ),
    Fault("segmentation fault", "native code reads address 0", while_computing("crash")),
    Fault("abort", "`abort()`, as C++ does of an uncaught exception", while_computing("abort")),
    Fault("a library ends the process", "`_exit(3)`", while_computing("leave")),
    Fault(
        "garbage among the messages",
        "bytes written to the pipe",
        while_computing("babble"),
    ),
    Fault(
        "prints of libraries",
        "file descriptor 1, `print`, C's `puts`",
        while_computing("print_natively"),
    ),
    Fault("hang", "SIGSTOP", while_computing("halt")),
    Fault(
        "hang in native code",
        "a call that holds Python's lock and does not return",
        while_computing("hold_python"),
    ),
    Fault(
        "cancelled, but a batch does not end",
        "a call that lets other threads run and does not return",
        cancelled("compute_forever"),
    ),
    Fault("cancelled, but the process hangs", "SIGSTOP", cancelled("halt")),
    Fault("no room for the volume", "a disk of 3 MB, mounted", small_disk((40, 200, 250))),
    Fault("no room for the labels", "a disk of 3 MB, mounted", small_disk((50, 200, 120))),
    Fault("disk full while writing", "limit on the size of files (RLIMIT_FSIZE)", limited_file),
    Fault("volume of 100 TB", "an array that repeats one voxel", endless_volume),
    Fault("model deleted after loading", "file removed; then put back", deleted_model),
    Fault(
        "package missing",
        "an import fails at the start",
        at_start("import_what_is_missing"),
    ),
    Fault("another version's worker", "a greeting of version 3", at_start("speak_another_version")),
    Fault("not a worker at all", "a program that prints a prompt", at_start("speak_no_protocol")),
    Fault("process that never answers", "sleeps as it starts", at_start("say_nothing")),
    Fault("interpreter missing", "no such file", missing_program),
    Fault("worker killed while idle", "SIGKILL between two requests", killed_while_idle),
    Fault("Slicer killed", "SIGKILL to the client while slices are computed", killed_client),
)
