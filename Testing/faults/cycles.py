"""Cancelling at random moments, over and over, and what that leaves behind.

    python cycles.py FOLDER

prints it of a hundred jobs with files in FOLDER, as a process that has done nothing before.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from observer import FAULTY, MODEL, Observer, ct, faulty_worker, is_running, wait_until

from GDLACore.worker import Failed, Finished, Stopped

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
        observer.until(lambda job=job: Stopped(job) in observer.events)
        seconds.append(time.monotonic() - begin)
        assert not any(isinstance(event, Failed) for event in observer.events)
        observer.forget()
    return seconds


def cancel_while_computing(observer: Observer) -> None:
    """Cancel a job whose network does not come back, so that the worker must be killed."""
    job = observer.client.segment(ct((20, 200, 200)), MODEL, FAULTY)
    observer.at_fault()
    observer.client.cancel()
    observer.until(lambda: Stopped(job) in observer.events)
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


def main(folder: Path) -> None:
    """Print what a hundred jobs leave behind, and how many workers they took."""
    observer = Observer(python=faulty_worker("compute_forever"), folder=folder, cancel_s=0.05)
    cancel_at_random(observer, 5, seed=1)
    assert isinstance(observer.segment(), Finished)
    before = Remains.now()
    cancel_at_random(observer, 100, seed=2)
    for _ in range(2):  # which chance may have spared on a slow machine
        cancel_while_computing(observer)
    assert isinstance(observer.segment(), Finished)
    # A process that was killed lets go of its pipes when its threads get their turn.
    observer.until(lambda: Remains.now().files <= before.files)
    observer.until(lambda: Remains.now().threads <= before.threads)
    grown = Remains.now().mebibytes - before.mebibytes
    observer.client.close()
    wait_until(lambda: running_workers(folder) == [])
    files = [path.name for path in folder.iterdir()]
    print(json.dumps({"grown_mib": grown, "files": files, "workers": len(observer.pids)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
