"""The ONNX Runtime engine when memory is short."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from onnx_networks import CPU, NO_MEMORY, LimitedSession, convolution, engine_on, slices
from phantom import make_card

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import EngineError

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda e: str(e)[-25:] or type(e).__name__)
def test_too_little_memory_halves_the_slices_at_a_time_and_changes_nothing_else(
    error, monkeypatch, caplog
):
    several = slices(7, 40, 30)
    reference = OnnxEngine(convolution(make_card()), make_card(), "cpu").predict(several, "smooth")

    engine: OnnxEngine | None = None
    tried = []

    class Crowded(LimitedSession):
        def run(self, names, feed):
            if engine is not None:
                tried.append(engine.batch_size)
                if engine.batch_size > 2:
                    raise error
            return super().run(names, feed)

    session = Crowded(make_card(), 1, AssertionError("slices share no run on a CPU"))
    engine, _ = engine_on(CPU, session, monkeypatch, threads=8)
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert list(dict.fromkeys(tried)) == [8, 3, 1]
    assert engine.batch_size == 1
    assert "slices go on in batches of 3" in caplog.text


def test_too_little_memory_for_one_slice_is_said_so(monkeypatch):
    session = LimitedSession(make_card(), 1, MemoryError("bad_alloc"))
    engine, processors = engine_on(CPU, session, monkeypatch, threads=4)
    session.most = 0
    with pytest.raises(EngineError, match="one slice of 40 x 30 pixels") as caught:
        engine.predict(slices(4, 40, 30), "smooth")
    assert caught.value.hint == "Close other programs and try again."
    assert session.asked == [1] * 7  # four, two and one at a time
    assert processors.opened == ["cpu"]


def test_a_failed_attempt_has_ended_before_the_next_begins(monkeypatch):
    both, again = threading.Barrier(2), threading.Event()
    numbers = itertools.count()
    overlapped = []

    class Uneven(LimitedSession):
        def run(self, names, feed):
            number, first = next(numbers), feed["image"].mean() < 0.5
            if number in (1, 2):
                both.wait(60)
                if first:
                    raise MemoryError
                # Long enough for the next attempt to come, if nobody waits for this one.
                overlapped.append(again.wait(0.1))
            elif number > 2:
                again.set()
            return super().run(names, feed)

    session = Uneven(make_card(), 1, AssertionError())
    engine, _ = engine_on(CPU, session, monkeypatch, threads=2)
    black_and_white = np.stack(
        [np.zeros((1, 40, 30), np.float32), np.ones((1, 40, 30), np.float32)]
    )
    engine.predict(black_and_white, "smooth")
    assert overlapped == [False]


class Remembering(LimitedSession):
    """Fails twice, and knows at every run which of the images that it was shown still exist."""

    def __init__(self) -> None:
        super().__init__(make_card(), 1, AssertionError())
        self._shown: list[weakref.ref[np.ndarray]] = []
        self.alive: list[int] = []

    def run(self, names, feed):
        self.alive.append(sum(image() is not None for image in self._shown))
        self._shown.append(weakref.ref(feed["image"]))
        if len(self.alive) in (2, 3):  # the first is the probe
            raise MemoryError
        return super().run(names, feed)


def test_the_arrays_of_a_failed_attempt_are_gone_before_the_next_begins(monkeypatch):
    session = Remembering()
    engine, _ = engine_on(CPU, session, monkeypatch, threads=1)
    engine.batch_size = 2  # on one thread, which has put one slice away when it takes the next
    gc.disable()  # it would hide that they hold each other
    try:
        engine.predict(slices(2, 40, 30), "smooth")
    finally:
        gc.enable()
    assert session.alive[3:] == [0, 0]


# In a process of its own: in one that has run other tests, freed memory is used again.
USE = """
import os
from pathlib import Path

from onnx_networks import slices
from small_engines import make_engine

def resident_megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

engine = make_engine()
several = slices(5, 256, 256)  # 1.3 MB
for _ in range(2):
    engine.predict(several, "smooth")
before = resident_megabytes()
for _ in range(12):
    engine.predict(several, "smooth")
    engine.predict(several, "published")
print(resident_megabytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_slice_after_slice_the_memory_in_use_stays_the_same():
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 20
