"""The worker's server in a thread, an engine that waits to be told to go on, and what they say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from phantom import GEOMETRIES, make_card, make_volume

from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.worker.array_file import write_array
from GDLACore.worker.messages import (
    VERSION,
    Alive,
    Command,
    Hello,
    ModelRequest,
    Report,
    Segment,
    VolumeFile,
)
from GDLACore.worker.server import serve

DEADLINE_S = 60

CARD = make_card()
HELLO = Hello(VERSION, idle_s=600)
MODEL = ModelRequest("/models/abdomen.onnx", device="cpu")


class SteppedEngine:
    """Calls the brighter half liver; ``step`` is called before each batch of two slices."""

    batch_size = 2
    in_flight = 1

    def __init__(self, card: ModelCard = CARD, step: Callable[[], None] = lambda: None) -> None:
        self.card = card
        self.step = step
        self.closed = False
        self.warmed_up = False

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        assert not self.closed
        self.step()
        return (slices[:, 0] > 0.5).astype(np.uint8)

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        confidence = np.abs(2 * slices[:, 0] - 1).clip(0, 1).astype(np.float16)
        return self.predict(slices, borders), confidence

    def warm_up(self) -> None:
        self.warmed_up = True

    def describe(self) -> str:
        return "CPU (test)"

    def close(self) -> None:
        self.closed = True


class Models:
    """Takes the place of ``load_engine``; ``load`` may be changed, ``engines`` is what it gave."""

    def __init__(self) -> None:
        self.engines: list[SteppedEngine] = []
        self.load: Callable[[], SteppedEngine] = SteppedEngine

    def __call__(self, model: str, **options: object) -> SteppedEngine:
        self.engines.append(self.load())
        return self.engines[-1]


class Gate:
    """A place where the engine waits: ``reached`` says it is there, ``open`` lets it pass once."""

    def __init__(self) -> None:
        self._reached = threading.Semaphore(0)
        self._open = threading.Semaphore(0)

    def wait(self) -> None:
        self._reached.release()
        assert self._open.acquire(timeout=DEADLINE_S)

    def reached(self) -> None:
        assert self._reached.acquire(timeout=DEADLINE_S)

    def open(self, times: int = 1) -> None:
        self._open.release(times)


class Conversation:
    """A server to talk to; the first to be said is ``greeting``."""

    def __init__(self, *greeting: Command | Exception) -> None:
        self._commands: SimpleQueue[Command | Exception | None] = SimpleQueue()
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._signs_of_life = threading.Semaphore(0)
        self.gone = threading.Event()
        self.thread = threading.Thread(
            target=serve, args=(self._receive, self._send, self.gone.set), daemon=True
        )
        self.thread.start()
        self.say(*greeting)

    def _receive(self) -> Command | None:
        command = self._commands.get()
        if isinstance(command, Exception):
            raise command
        return command

    def _send(self, report: Report) -> None:
        if isinstance(report, Alive):
            self._signs_of_life.release()
        else:
            self._reports.put(report)

    def say(self, *commands: Command | Exception | None) -> None:
        """Send commands; an exception stands for a line that is none, None for the end."""
        for command in commands:
            self._commands.put(command)

    def hear(self) -> Report:
        """Return the next report."""
        try:
            return self._reports.get(timeout=DEADLINE_S)
        except Empty:
            raise AssertionError("the worker says nothing") from None

    def hear_until(self, kind: type) -> list[Report]:
        """Return the next reports, up to the first of ``kind``."""
        heard = [self.hear()]
        while not isinstance(heard[-1], kind):
            heard.append(self.hear())
        return heard

    def wait_for_life(self, signs: int) -> None:
        """Wait for so many more signs of life."""
        while self._signs_of_life.acquire(blocking=False):
            pass
        for _ in range(signs):
            assert self._signs_of_life.acquire(timeout=DEADLINE_S)

    def end(self) -> list[Report]:
        """Hang up, wait until the server has ended and return what it had still said."""
        self.say(None)
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()
        rest = []
        while not self._reports.empty():
            rest.append(self._reports.get())
        return rest


def wait_for(found: Callable[[], bool]) -> None:
    """Return when ``found`` what no event tells."""
    waited = threading.Event()
    for _ in range(DEADLINE_S * 1000):
        if found():
            return
        waited.wait(0.001)
    raise AssertionError("nothing has happened")


def bright_volume(shape: tuple[int, int, int] = (6, 7, 8), name: str = "CT 5") -> Volume:
    """Return air with a block of bone, stored axially."""
    volume = make_volume(GEOMETRIES["axial"], shape)
    volume.array[:] = -1000
    volume.array[1:3, 2:4, 3:5] = 1000
    return Volume(volume.array, volume.ijk_to_ras, name, "CT")


def segment_command(
    folder: Path, volume: Volume, job: int = 1, options: SegmentOptions | None = None
) -> Segment:
    """Return the request to segment ``volume``, whose file is written to ``folder``."""
    path = folder / f"volume-{job}.npy"
    write_array(path, volume.array)
    file = VolumeFile(
        str(path), tuple(volume.ijk_to_ras.ravel().tolist()), volume.name, volume.modality
    )
    results = [f"labels-{job}.npy", f"labels-{job}-cleaned.npy", f"confidence-{job}.npy"]
    paths = (str(folder / name) for name in results)
    return Segment(job, MODEL, file, options or SegmentOptions(), None, *paths)
