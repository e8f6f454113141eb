"""A client whose workers do nothing but what a test has them say, and a clock that it sets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest

from GDLACore.errors import WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.worker import WorkerClient, client, silence
from GDLACore.worker.connection import Broken, Gone
from GDLACore.worker.events import Event, Loaded, SlicesDone
from GDLACore.worker.messages import (
    VERSION,
    Command,
    Greeting,
    Hello,
    Leaving,
    ModelReady,
    ModelRequest,
    Report,
    Segment,
)

DEADLINE_S = 60

DEATH = WorkerError("The background process crashed (SIGSEGV).", "Try the device cpu.")


@dataclass(eq=False)
class ScriptedConnection:
    """A ``Connection`` that keeps what it is sent."""

    pid: int
    reports: SimpleQueue[Report | Broken | Gone] = field(default_factory=SimpleQueue)
    sent: list[Command] = field(default_factory=list)
    heard: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    killed: bool = False
    closed: bool = False

    @property
    def log(self) -> str:
        return f"log of {self.pid}\n"

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def kill(self) -> None:
        self.killed = True
        self.ended.set()

    def close(self, patience_s: float) -> None:
        self.closed = True
        self.ended.set()

    def say(self, *reports: Report | Broken | Gone) -> None:
        for report in reports:
            self.heard += 1
            self.reports.put(report)

    def greet(self) -> None:
        self.say(Greeting(VERSION, self.pid))

    def leave(self) -> None:
        self.ended.set()
        self.reports.put(Leaving())

    def die(self) -> None:
        self.ended.set()
        self.reports.put(Gone(DEATH))

    @property
    def asked(self) -> list[Command]:
        """Return what was sent after the greeting."""
        assert isinstance(self.sent[0], Hello)
        return self.sent[1:]


class ScriptedClient(WorkerClient):
    """A client of ``workers``, the last of which is the present one."""

    def __init__(self, folder: Path, **settings: float) -> None:
        super().__init__(folder=folder, **settings)
        self.workers: list[ScriptedConnection] = []

    def _launched(self) -> ScriptedConnection:
        self.workers.append(ScriptedConnection(pid=1001 + len(self.workers)))
        return self.workers[-1]

    @property
    def present(self) -> ScriptedConnection:
        return self.workers[-1]

    def poll_until(self, found: Callable[[list[Event]], bool]) -> list[Event]:
        """Poll until ``found`` in all that has happened, as a timer does, and return that."""
        events, waited = [], threading.Event()
        for _ in range(DEADLINE_S * 1000):
            events += self.poll()
            if found(events):
                return events
            waited.wait(0.001)
        raise AssertionError(f"only this has happened: {events}")


class Clock:
    """The client's time, in seconds; it stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for module in client, silence:
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


def warm_up(client: ScriptedClient, model: ModelRequest, card: ModelCard) -> None:
    """Have ``model`` ready in the client's worker."""
    client.load(model)
    client.present.greet()
    client.present.say(ModelReady(1, card, "CPU"))
    assert client.poll() == [Loaded(card, "CPU")]


def begin(client: ScriptedClient, volume: Volume, model: ModelRequest) -> int:
    """Begin a job and return its number, once the worker has done the first slices."""
    job = client.segment(volume, model, SegmentOptions())
    client.poll_until(
        lambda events: any(isinstance(c, Segment) and c.job == job for c in client.present.asked)
    )
    client.present.say(SlicesDone(job, 0, (2, 3), 2, 6))
    assert isinstance(client.poll()[-1], SlicesDone)
    return job
