"""Time and memory of the stages of a run, measured from inside the process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from memory import peak_mebibytes, reset_peak, resident_mebibytes


class Stages:
    """Seconds of each stage; one that is entered many times adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside; stages must not be nested."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class StagesWithMemory(Stages):
    """Also the most MiB each stage held above what it began with. Linux only.

    Asking the system takes time of its own, so seconds and memory come from different runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mebibytes: dict[str, float] = {}
        self.peak_mebibytes = 0.0  # of the whole process, since its start

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._note_peak()
        reset_peak()
        before = resident_mebibytes()
        with super().stage(name):
            yield
        used = self._note_peak() - before
        self.mebibytes[name] = max(self.mebibytes.get(name, 0.0), used)

    def _note_peak(self) -> float:
        peak = peak_mebibytes()
        self.peak_mebibytes = max(self.peak_mebibytes, peak)
        return peak
