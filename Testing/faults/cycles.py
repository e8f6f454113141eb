"""Cancelling at random moments, over and over, and what that leaves behind."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from observer import FAULTY, MODEL, Observer, ct, is_running

from GDLACore.worker import Failed, Started, Stopped

# From the click: while the process starts, the model loads, the volume is written, slices are
# computed, and, from then on, while the network does not come back.
_LATEST_S = 0.6


@dataclass(frozen=True)
class Remains:
    """What is there at one moment: memory of this process in MiB, and what it holds open."""

    mebibytes: float
    threads: int
    files: int

    @classmethod
    def now(cls) -> Remains:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        mebibytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(mebibytes, threading.active_count(), len(os.listdir("/proc/self/fd")))


def cancel_at_random(observer: Observer, cycles: int, seed: int) -> list[float]:
    """Segment and cancel ``cycles`` times; return the seconds until each had stopped.

    The observer's worker should ``compute_forever``. Anything but stopping is an AssertionError.
    """
    moments, seconds = random.Random(seed), []
    for _ in range(cycles):
        job = observer.client.segment(ct((20, 200, 200)), MODEL, FAULTY)
        later = time.monotonic() + moments.uniform(0, _LATEST_S)
        observer.until(lambda later=later: time.monotonic() > later)
        begin = time.monotonic()
        observer.client.cancel()
        observer.until(lambda: not observer.client.busy)
        seconds.append(time.monotonic() - begin)
        assert Stopped(job) in observer.events[-3:]
        assert not any(isinstance(event, Failed) for event in observer.events)
        observer.forget()
    return seconds


def cancel_while_computing(observer: Observer) -> None:
    """Cancel a job whose network does not come back, so that the worker must be killed."""
    job = observer.client.segment(ct((20, 200, 200)), MODEL, FAULTY)
    observer.until(lambda: any(isinstance(event, Started) for event in observer.events))
    observer.client.cancel()
    observer.until(lambda: not observer.client.busy)
    assert Stopped(job) in observer.events[-3:]
    observer.forget()


def running_workers(folder: Path) -> list[int]:
    """Return the processes whose current folder is, or was, in ``folder``."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                current = os.readlink(process / "cwd")
            except OSError:
                continue
            if current.startswith(str(folder)) and is_running(int(process.name)):
                found.append(int(process.name))
    return found
