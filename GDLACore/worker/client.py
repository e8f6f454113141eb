"""The worker as Slicer's logic sees it: requests that return at once, and events to be polled."""

from __future__ import annotations

import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from GDLACore.errors import WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker.array_file import map_array
from GDLACore.worker.background import Background
from GDLACore.worker.connection import Connection
from GDLACore.worker.events import (
    Event,
    Failed,
    Finished,
    Loaded,
    Phase,
    SlicesDone,
    Started,
    Stopped,
    Warned,
)
from GDLACore.worker.job import Job, Loading
from GDLACore.worker.messages import (
    Cancel,
    Leaving,
    Load,
    ModelReady,
    ModelRequest,
    Report,
    SegmentFinished,
    SegmentStarted,
    Unload,
)
from GDLACore.worker.process import WorkerProcess
from GDLACore.worker.session_folder import SessionFolder
from GDLACore.worker.supervisor import Lost, Supervisor

_log = logging.getLogger(__name__)

_CLOSE_S = 0.6


class WorkerClient:
    """A worker process that is started when needed, and started again when it failed.

    Everything is to be called on one thread and returns at once, but for ``close``; call ``poll``
    several times a second while something is going on.

    ``python`` is the command of an interpreter, this one by default; ``folder`` is where the
    session folder goes, by default where the system wants temporary files. ``packages`` is a folder
    in front of where the worker looks for packages, and ``environment`` its environment, by default
    this process's. The worker ends itself
    after ``idle_minutes`` without a request. One that shows no life for ``silence_s`` is replaced,
    and so is one that has not stopped ``cancel_s`` after it was asked to.
    """

    def __init__(
        self,
        python: Sequence[str] | None = None,
        *,
        folder: Path | None = None,
        packages: Path | None = None,
        environment: Mapping[str, str] | None = None,
        idle_minutes: float = 10,
        silence_s: float = 30,
        cancel_s: float = 1.5,
    ) -> None:
        self._python = tuple(python or (sys.executable,))
        self._packages = packages
        self._environment = environment
        self._session = SessionFolder(Path(folder or tempfile.gettempdir()).absolute())
        self._worker = Supervisor(self._launched, idle_s=60 * idle_minutes, silence_s=silence_s)
        self._background = Background()
        self._cancel_s = cancel_s
        self._cancel_by: float | None = None
        self._numbers = itertools.count(1)
        self._events: list[Event] = []
        self._start_asked = False
        self._loading: Loading | None = None
        self._job: Job | None = None
        self._ready: ModelRequest | None = None
        self._may_restart = False
        self._closed = False

    @property
    def busy(self) -> bool:
        """Return whether a job is running: ``segment`` has to wait."""
        return self._job is not None

    @property
    def pid(self) -> int | None:
        """Return the number of the process that the worker is in; None while none has answered."""
        return self._worker.pid

    def log(self) -> str:
        """Return the last of what the worker, and the one before it, wrote to stderr."""
        return self._worker.log

    def start(self) -> None:
        """Start the process, so that later requests need not wait for it."""
        self._start_asked = not self._worker.running
        self._connection()

    def load(self, model: ModelRequest) -> None:
        """Have ``model`` ready: ``Loaded``, ``Failed`` or ``Stopped`` follows, with None as job.

        A later ``load`` or ``segment`` takes its place: nothing follows for this one then.
        """
        self._connection()
        self._forget_loading()
        self._load(Loading(next(self._numbers), model.with_full_paths()))

    def unload(self) -> None:
        """Give the model's memory back, after the job if one is running; the process stays."""
        self._ready = None
        if self._worker.running:
            self._worker.send(Unload())

    def segment(self, volume: Volume, model: ModelRequest, options: SegmentOptions) -> int:
        """Begin to segment ``volume`` and return the number of the job.

        ``Started``, any number of ``SlicesDone`` and ``Finished`` follow, or it ends in ``Stopped``
        or ``Failed``. The volume's array is read in the background, until the phase "writing" is
        over. Raises ValueError while another job is running.
        """
        if self._job is not None:
            raise ValueError("a job is running")
        connection = self._connection()
        self._forget_loading()
        number, model = next(self._numbers), model.with_full_paths()
        self._job = Job(number, model, options, connection, self._background)
        self._job.hand_over(volume, self._session)
        return number

    def cancel(self) -> None:
        """Stop the job and the loading: ``Stopped`` follows for each within ``cancel_s`` seconds.

        Does nothing if nothing is going on.
        """
        tell = False
        if self._job is not None:
            if self._job.cancel():
                self._end_job(Stopped(self._job.number))
            else:
                tell = True
        if self._loading is not None and self._loading.asked:
            self._loading = replace(self._loading, cancelled=True)
            tell = True
        if tell:
            self._worker.send(Cancel())
            self._cancel_by = self._cancel_by or time.monotonic() + self._cancel_s

    def poll(self) -> list[Event]:
        """Return what has happened since the last call; replace a worker that does not answer."""
        for news in self._job.news() if self._job is not None else ():
            if isinstance(news, Failed):
                self._end_job(news)
            else:
                self._events.append(news)
        for report in self._worker.take():
            self._heed(report)
        if self._cancel_by is not None and time.monotonic() > self._cancel_by:
            self._heed(self._worker.lose(WorkerError("The background process did not stop.")))
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End the process and remove all files; waits for that, two seconds at most."""
        self._closed = True
        if self._job is not None:
            self._job.end()
        # Twice: now, while the worker can see that its owner does it, and what it added meanwhile.
        self._session.remove()
        self._worker.close(_CLOSE_S)
        self._background.close(_CLOSE_S)
        self._session.remove()
        self._job = self._loading = None
        self._events.clear()

    def _launched(self) -> Connection:
        return WorkerProcess(
            self._python, lambda: self._session.path, self._packages, self._environment
        )

    def _connection(self) -> Connection:
        """Return a worker for a request of the user, who is waiting for the answer."""
        if self._closed:
            raise ValueError("the client is closed")
        self._may_restart = True
        return self._worker.start()

    def _forget_loading(self) -> None:
        if self._loading is not None and self._loading.cancelled:
            self._end_loading(Stopped(None))
        self._loading = None

    def _heed(self, report: Report | Lost) -> None:
        if isinstance(report, Phase) and report.phase == "loading":
            self._ready = None
        if isinstance(report, Lost):
            self._recover(report)
        elif isinstance(report, Leaving):
            self._move_on()
        elif self._job is not None and report.job == self._job.number:
            self._heed_job(self._job, report)
        elif self._loading is not None and report.job == self._loading.number:
            self._heed_loading(self._loading, report)

    def _heed_job(self, job: Job, report: Report) -> None:
        job.begun = True
        match report:
            case SegmentStarted():
                self._ready = job.model
                self._begin(job, report)
            case SegmentFinished():
                self._finish(job, report)
            case Stopped() | Failed():
                self._end_job(report)
            case SlicesDone() | Phase() | Warned():
                self._events.append(report)

    def _begin(self, job: Job, report: SegmentStarted) -> None:
        labels = self._mapped(job.request.labels)
        if labels is not None:
            self._events.append(Started(job.number, report.card, report.device, labels))

    def _finish(self, job: Job, report: SegmentFinished) -> None:
        wanted = report.cleaned and not job.cancelled
        cleaned = self._mapped(job.request.cleaned) if wanted else None
        if self._job is job:  # its file could be read
            self._end_job(Finished(job.number, cleaned, report.device, report.seconds))

    def _mapped(self, path: str) -> np.ndarray | None:
        """Return the array in ``path``; if it cannot be read, give the worker up, return None."""
        try:
            return map_array(Path(path))
        except WorkerError as error:
            self._recover(self._worker.lose(error))
            return None

    def _heed_loading(self, loading: Loading, report: Report) -> None:
        self._loading = replace(loading, begun=True)
        match report:
            case ModelReady():
                self._ready = loading.model
                self._end_loading(Loaded(report.card, report.device))
            case Failed():
                self._ready = None
                self._end_loading(Failed(None, report.error))
            case Stopped():
                self._end_loading(Stopped(None))
            case Phase() | Warned() if loading.asked:
                self._events.append(replace(report, job=None))

    def _end_job(self, event: Finished | Stopped | Failed) -> None:
        job, self._job = self._job, None
        self._events.append(Stopped(job.number) if job.cancelled else event)
        job.end()
        self._forget_deadline()

    def _end_loading(self, event: Loaded | Stopped | Failed) -> None:
        loading, self._loading = self._loading, None
        if loading.cancelled:
            event = Stopped(None)
        if loading.asked or isinstance(event, Loaded):
            self._events.append(event)
        elif isinstance(event, Failed):
            _log.warning("The model could not be made ready again: %s", event.error)
        self._forget_deadline()

    def _forget_deadline(self) -> None:
        if not any(one is not None and one.cancelled for one in (self._job, self._loading)):
            self._cancel_by = None

    def _move_on(self) -> None:
        """Ask another worker for what one that has gone did not begin."""
        if self._job is not None:
            self._job.move_to(self._worker.start())
        if self._loading is not None:
            self._load(self._loading)
        if self._cancel_by is not None:
            self._worker.send(Cancel())

    def _recover(self, lost: Lost) -> None:
        """Start another worker, once for each request, unless the lost one never started either.

        It does what the lost one had not begun; otherwise it becomes as warm as that one was.
        """
        waiting = [one for one in (self._job, self._loading) if one is not None]
        restart = bool(waiting) and lost.greeted and self._may_restart
        self._may_restart = False
        if restart and not any(one.begun or one.cancelled for one in waiting):
            self._move_on()
            return
        if self._start_asked and not waiting and not lost.greeted:
            self._events.append(Failed(None, lost.error))
        self._start_asked = False
        if self._job is not None:
            self._end_job(Failed(self._job.number, lost.error))
        if self._loading is not None:
            self._end_loading(Failed(None, lost.error))
        if restart:
            self._worker.start()
            if self._ready is not None:
                self._load(Loading(next(self._numbers), self._ready, asked=False))

    def _load(self, loading: Loading) -> None:
        self._loading = loading
        self._worker.send(Load(loading.number, loading.model))
