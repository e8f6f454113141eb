"""The worker as Slicer's logic sees it: requests that return at once, and events to be polled."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from GDLACore.errors import WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import BORDERS, SegmentOptions
from GDLACore.worker.background import Background
from GDLACore.worker.connection import Connection
from GDLACore.worker.events import Event, Failed
from GDLACore.worker.job import Job, Loading
from GDLACore.worker.messages import Cancel, Leaving, Load, ModelRequest, Report, Unload
from GDLACore.worker.open_requests import Requests
from GDLACore.worker.process import WorkerProcess
from GDLACore.worker.session_files import SessionFiles
from GDLACore.worker.session_folder import SessionFolder
from GDLACore.worker.supervisor import Lost, Supervisor

_CLOSE_S = 0.6


class WorkerClient:
    """A worker process that is started when needed, and started again when it failed.

    Everything is to be called on one thread and returns at once, but for ``close``; call ``poll``
    several times a second while something is going on.

    ``python`` is the command of an interpreter, this one by default; ``folder`` is where the
    session folder goes, by default where the system wants temporary files. ``packages`` is a folder
    in front of where the worker looks for packages, and ``environment`` its environment, by default
    this process's. The worker ends itself after ``idle_minutes`` without a request. One that shows
    no life for ``silence_s`` seconds is replaced, and so is one that has not stopped ``cancel_s``
    seconds after it was asked to.
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
        self._files = SessionFiles(self._session)
        self._background = Background()
        self._requests = Requests()
        self._numbers = itertools.count(1)
        self._cancel_s = cancel_s
        self._cancel_by = 0.0
        self._start_asked = False
        self._may_restart = False
        self._closed = False

    @property
    def busy(self) -> bool:
        """Return whether a job is running: ``segment`` has to wait."""
        return self._requests.job is not None

    @property
    def previewing(self) -> bool:
        """Return whether a preview is outstanding: the next one has to wait."""
        return self._requests.preview is not None

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
        self._requests.forget_loading()
        self._load(Loading(next(self._numbers), model.with_full_paths()))

    def unload(self) -> None:
        """Give the model's memory back, after the job if one is running; the process stays."""
        self._requests.ready = None
        if self._worker.running:
            self._worker.send(Unload())

    def segment(
        self,
        volume: Volume,
        model: ModelRequest,
        options: SegmentOptions,
        *,
        key: Hashable = None,
        corrections: Mapping[int, np.ndarray] | None = None,
    ) -> int:
        """Begin to segment ``volume`` and return the number of the job.

        ``Started``, any number of ``SlicesDone`` and ``Finished`` follow, or it ends in ``Stopped``
        or ``Failed``. A preview that is outstanding ends in ``Stopped``. The volume's array is read
        in the background, until the phase "writing" is over; not at all if ``key`` is not None and
        equal to that of the last request: then the voxels must be the same, too. ``corrections``
        are labels that the user corrected, by stored slice, each 2-D as in ``Previewed``: the
        slices between and beside them follow them. Raises ValueError while another job is running.
        """
        if self.busy:
            raise ValueError("a job is running")
        connection = self._connection()
        self._requests.forget_loading()
        if self._requests.give_up_preview():
            connection.send(Cancel())
        number, model = next(self._numbers), model.with_full_paths()
        # Copies, for the user goes on editing.
        corrected = {index: np.array(labels) for index, labels in (corrections or {}).items()}
        self._requests.job = job = self._job(number, model, connection)
        job.hand_over(
            volume.name,
            lambda go_on: self._files.segment_request(
                number, volume, model, options, corrected, key, go_on
            ),
        )
        return number

    def preview(
        self,
        volume: Volume,
        model: ModelRequest,
        indices: Sequence[int],
        borders: str,
        *,
        key: Hashable,
    ) -> int:
        """Begin to segment single slices of ``volume``, the most wanted first; return a number.

        ``indices`` are stored slices along the model's slice axis. ``Previewed`` follows for each
        of them, then ``PreviewDone``, or it ends in ``Stopped`` or ``Failed``. There is no result
        but these events. ``volume`` and ``key`` are as for ``segment``, ``borders`` as in
        ``SegmentOptions``. Raises ValueError while a job is running or another preview is
        outstanding, and if no slice is wanted.
        """
        if self.busy:
            raise ValueError("a job is running")
        if self.previewing:
            raise ValueError("a preview is outstanding")
        if not indices:
            raise ValueError("no slice is wanted")
        if borders not in BORDERS:
            raise ValueError(f"borders must be one of {', '.join(BORDERS)}, not {borders!r}")
        wanted = tuple(indices)
        connection = self._connection()
        number, model = next(self._numbers), model.with_full_paths()
        self._requests.preview = preview = self._job(number, model, connection)
        preview.hand_over(
            volume.name,
            lambda go_on: self._files.preview_request(
                number, volume, model, wanted, borders, key, go_on
            ),
        )
        return number

    def withdraw(self) -> None:
        """Give up the preview that is outstanding, if any: ``Stopped`` comes of the next poll.

        The next may begin at once. A model that is being made ready is given up, too.
        """
        if self._requests.give_up_preview():
            self._worker.send(Cancel())

    def cancel(self) -> None:
        """Stop all that is going on: ``Stopped`` follows for each within ``cancel_s`` seconds.

        Does nothing if nothing is going on.
        """
        if not self._requests.cancelled:
            self._cancel_by = time.monotonic() + self._cancel_s
        if self._requests.cancel():
            self._worker.send(Cancel())

    def forget(self) -> None:
        """Have no voxels or labels lie in files any more than what is going on needs.

        The next request writes its volume, whatever its key.
        """
        if not self._background.begun:
            return
        self._background.do(self._files.disown_volume)
        if not (self.busy or self.previewing):
            self._background.do(self._files.end_request)

    def poll(self) -> list[Event]:
        """Return what has happened since the last call; replace a worker that does not answer."""
        self._requests.heed_news()
        for report in self._worker.take():
            self._heed(report)
        if self._requests.cancelled and time.monotonic() > self._cancel_by:
            self._recover(self._worker.lose(WorkerError("The background process did not stop.")))
        events, self._requests.events = self._requests.events, []
        return events

    def close(self) -> None:
        """End the process and remove all files; waits for that, two seconds at most."""
        self._closed = True
        for job in self._requests.job, self._requests.preview:
            if job is not None:
                job.end()
        # Twice: now, while the worker can see that its owner does it, and what it added meanwhile.
        self._session.remove()
        self._worker.close(_CLOSE_S)
        self._background.close(_CLOSE_S)
        self._session.remove()
        self._requests = Requests()

    def _job(self, number: int, model: ModelRequest, connection: Connection) -> Job:
        return Job(number, model, connection, self._background, self._files)

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

    def _heed(self, report: Report | Lost) -> None:
        match report:
            case Lost():
                self._recover(report)
            case Leaving():
                if not self._requests.open:  # nobody has asked about a volume for long
                    self.forget()
                self._move_on()
            case _:
                try:
                    self._requests.heed(report)
                except WorkerError as error:
                    self._recover(self._worker.lose(error))

    def _move_on(self) -> None:
        """Ask another worker for what one that has gone did not begin."""
        for job in self._requests.job, self._requests.preview:
            if job is not None:
                job.move_to(self._worker.start())
        if self._requests.loading is not None:
            self._load(self._requests.loading)
        if self._requests.cancelled:
            self._worker.send(Cancel())

    def _recover(self, lost: Lost) -> None:
        """Start another worker, once for each request, unless the lost one never started either.

        It does what the lost one had not begun; otherwise it becomes as warm as that one was.
        """
        waiting = self._requests.open
        restart = bool(waiting) and lost.greeted and self._may_restart
        self._may_restart = False
        if restart and not any(one.begun or one.cancelled for one in waiting):
            self._move_on()
            return
        if self._start_asked and not waiting and not lost.greeted:
            self._requests.events.append(Failed(None, lost.error))
        self._start_asked = False
        self._requests.fail(lost.error)
        if not restart:
            self.forget()
        else:
            self._worker.start()
            if self._requests.ready is not None:
                self._load(Loading(next(self._numbers), self._requests.ready, asked=False))

    def _load(self, loading: Loading) -> None:
        self._requests.loading = loading
        self._worker.send(Load(loading.number, loading.model))
