"""A worker that is there when it is needed: started, listened to, and ended when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty

from GDLACore.errors import WorkerError
from GDLACore.worker.connection import Broken, Connection, Gone
from GDLACore.worker.events import Phase
from GDLACore.worker.messages import VERSION, Command, Greeting, Hello, Leaving, Refused, Report
from GDLACore.worker.silence import Silence

# A worker that starts, or loads a GPU's libraries of gigabytes, may be held up by a virus scanner.
_START_S = 60.0

_STUCK_HINT = "It was ended. Try again; if it happens again, try the device cpu."


@dataclass(frozen=True)
class Lost:
    """The worker has failed with all that it was asked; ``greeted``: it had been working before."""

    error: WorkerError
    greeted: bool


class Supervisor:
    """Has one worker at a time, made by ``launch`` when there is something to send.

    One that is not heard of for ``silence_s`` seconds is ended.
    """

    def __init__(
        self, launch: Callable[[], Connection], *, idle_s: float, silence_s: float
    ) -> None:
        self.pid: int | None = None
        self._launch = launch
        self._idle_s = idle_s
        self._silence_s = silence_s
        self._worker: Connection | None = None
        self._ended: list[Connection] = []
        self._silence = Silence()
        self._starting = self._loading = False

    @property
    def running(self) -> bool:
        """Return whether there is a worker, be it that it is only starting."""
        return self._worker is not None

    @property
    def log(self) -> str:
        """Return the last of what this worker and the one before it wrote to stderr."""
        workers = [*self._ended[-1:], self._worker]
        return "".join(worker.log for worker in workers if worker is not None)

    def start(self) -> Connection:
        """Return the worker; start it if there is none."""
        if self._worker is None:
            self._worker = self._launch()
            self._worker.send(Hello(VERSION, self._idle_s))
            self._silence = Silence()
            self._starting, self._loading = True, False
        return self._worker

    def send(self, command: Command) -> None:
        """Have ``command`` sent; start a worker if there is none."""
        self.start().send(command)

    def take(self) -> Iterator[Report | Lost]:
        """Yield what the worker has reported.

        After ``Lost`` or ``Leaving``, ``running`` is false until something is sent again.
        """
        while self._worker is not None:
            try:
                report = self._worker.reports.get_nowait()
            except Empty:
                break
            yield from self._heeded(report)
        if self._worker is not None:
            yield from self._judged(self._worker)

    def lose(self, error: WorkerError) -> Lost:
        """End the worker, whatever it is doing, because of ``error``."""
        greeted = not self._starting
        if self._worker is not None:
            self._worker.kill()
            self._retire()
        return Lost(error, greeted)

    def close(self, patience_s: float) -> None:
        """End the worker and wait, up to twice ``patience_s`` seconds, until nothing is left."""
        deadline = time.monotonic() + 2 * patience_s
        if self._worker is not None:
            self._worker.close(patience_s)
            self._retire()
        for worker in self._ended:
            worker.ended.wait(max(0.0, deadline - time.monotonic()))

    def _heeded(self, report: Report | Broken | Gone) -> Iterator[Report | Lost]:
        match report:
            case Greeting():
                self.pid = report.pid
                self._starting = False
            case Broken() | Gone() | Refused():
                yield self.lose(report.error)
            case Leaving():
                self._retire()
                yield report
            case _:
                self._loading = (
                    isinstance(report, Phase)
                    and report.phase == "loading"
                    and (report.done < report.total)
                )
                yield report

    def _judged(self, worker: Connection) -> Iterator[Lost]:
        patience = _START_S if self._starting or self._loading else self._silence_s
        if self._silence.seconds(worker.heard) > patience:
            what = "did not start within" if self._starting else "has not answered for"
            message = f"The background process {what} {patience:.0f} seconds."
            yield self.lose(WorkerError(message, _STUCK_HINT))

    def _retire(self) -> None:
        """Have no worker any more; the last one is kept for its log, others until they end."""
        self._ended = [worker for worker in self._ended if not worker.ended.is_set()]
        self._ended.append(self._worker)
        self._worker = self.pid = None
