"""The real worker with an engine of a few lines, in which things go wrong.

    python faulty_worker.py FAULT PROGRAM

``PROGRAM`` is the worker's own program. The fault happens in the second batch of a segmentation
whose borders are "published", so that other requests show whether the worker has recovered, and a
file MARK in the current folder says that it is about to; faults at the start happen as long as the
file FAULT:file is there.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "core")]

import numpy as np  # noqa: E402
from worker_conversation import SteppedEngine  # noqa: E402

from GDLACore.worker import process_server, warm_model  # noqa: E402

FAULT, _, WHILE_THERE = sys.argv[1].partition(":")

MARK, GO_ON = Path(f"fault-{os.getpid()}"), Path("go on")

_FOREVER_S = 3600
_GIB = 1 << 30

_reports: list[BinaryIO] = []


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_starting_another() -> None:
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({_FOREVER_S})"])
    print(f"child {child.pid}", file=sys.stderr, flush=True)
    die()


def crash() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave() -> None:
    print("some library: giving up", file=sys.stderr, flush=True)
    os._exit(3)


def run_out_of_memory() -> None:
    """Have the system refuse memory, as it does where a process has a limit."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (used + _GIB // 4, before[1]))
    try:
        np.ones(_GIB, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def babble() -> None:
    _reports[0].write(b"\x00\xff Segmenting... 50%\n")


def babble_without_end() -> None:
    for _ in range(17):
        _reports[0].write(b"x" * (1 << 20))


def print_natively() -> None:
    """Print as C libraries and Python packages do."""
    os.write(1, b'{"type":"finished"} from file descriptor 1\n')
    print("from Python's print")
    sys.__stdout__.write("from the first stdout\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C's puts")
    libc.fflush(None)


def complain_at_length() -> None:
    for number in range(20_000):
        sys.stderr.write(f"warning {number}: {'x' * 100}\n")
    print("the end of the log", file=sys.stderr, flush=True)


def halt() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_python() -> None:
    """Stay in native code that lets no other thread run."""
    ctypes.PyDLL(None).sleep(_FOREVER_S)


def compute_forever() -> None:
    """Stay in native code that lets other threads run, as networks do."""
    ctypes.CDLL(None).sleep(_FOREVER_S)


def wait_for_leave() -> None:
    """Stay until there is a file GO_ON in the current folder."""
    while not GO_ON.exists():
        time.sleep(0.005)


WHILE_COMPUTING: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        die,
        die_after_starting_another,
        crash,
        abort,
        leave,
        run_out_of_memory,
        babble,
        babble_without_end,
        print_natively,
        complain_at_length,
        halt,
        hold_python,
        compute_forever,
        wait_for_leave,
    )
}


def import_what_is_missing() -> None:
    import a_package_that_nobody_has  # noqa: F401


def say_nothing() -> None:
    time.sleep(_FOREVER_S)


def speak_another_version() -> None:
    sys.stdout.write('{"type":"hello","version":2,"pid":1,"mood":"fine"}\n')
    sys.stdout.flush()
    sys.stdin.read()


def speak_no_protocol() -> None:
    print("Python 2.7.18 (default)\n>>> ", flush=True)
    sys.stdin.read()


AT_START: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (import_what_is_missing, say_nothing, speak_another_version, speak_no_protocol)
}


class FaultyEngine(SteppedEngine):
    """Has its fault in the second batch of those whose borders are "published"."""

    def __init__(self, fault: Callable[[], None]) -> None:
        super().__init__()
        self._fault = fault
        self._batches = 0

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        if borders == "published":
            self._batches += 1
            if self._batches == 2:
                MARK.touch()
                self._fault()
        return super().predict(slices, borders)


def load_slowly(model: str, **options: object) -> SteppedEngine:
    """Load a model called "slow" without end, and any other at once."""
    if Path(model).name == "slow.onnx":
        compute_forever()
    return FaultyEngine(WHILE_COMPUTING.get(FAULT, lambda: None))


def main() -> None:
    if FAULT in AT_START and Path(WHILE_THERE).exists():
        AT_START[FAULT]()
    warm_model.load_engine = load_slowly
    serve_streams = process_server.serve_streams

    def serve(commands: BinaryIO, reports: BinaryIO) -> None:
        _reports.append(reports)
        serve_streams(commands, reports)

    process_server.serve_streams = serve
    del sys.argv[:2]  # the rest is for the worker
    runpy.run_path(sys.argv[0])["main"]()


if __name__ == "__main__":
    main()
