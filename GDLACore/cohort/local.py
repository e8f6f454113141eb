"""A cohort segmented in a process of its own, so that what ends the process ends one study only.

Damaged files make libraries crash, and large ones make the system kill who opens them. The process
is started anew then, and those studies that it had begun are given to it one by one: which of them
was to blame shows when it dies again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from GDLACore.cohort.identity import check_model
from GDLACore.cohort.plan import Study
from GDLACore.cohort.record import CRASH, FAILED, StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import AHEAD, StudyWorker
from GDLACore.errors import EngineError

if TYPE_CHECKING:
    from GDLACore.cohort.run import Process

_LOGGER = "GDLACore"
_READY = "ready"
_LONGEST_END_S = 10.0  # for a process that was told to end

MakeWorker = Callable[[BatchSettings], StudyWorker]


class _DiedError(Exception):
    """The process is gone; ``exitcode`` as ``multiprocessing`` tells it."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode


@dataclass(frozen=True)
class _Warning:
    """What one process has to say through another."""

    logger: str
    level: int
    text: str


def local_process(settings: BatchSettings, make_worker: MakeWorker = StudyWorker) -> Process:
    """Return a process that does everything on this computer, with one engine in a process.

    When it dies, each study that it had begun is given to another one, alone: a study of which
    that dies, too, is a failed one. ``make_worker`` makes the worker there and can be pickled.
    Raises what ``make_worker`` raises, and EngineError if the process dies before its first study.
    """

    def process(studies: Iterable[Study]) -> Generator[StudyRecord, None, None]:
        waiting = iter(studies)
        begun: deque[Study] = deque()
        while True:
            try:
                yield from _records(waiting, begun, settings, make_worker)
            except _DiedError:
                while begun:
                    yield from _alone(begun.popleft(), settings, make_worker)
            else:
                return

    return process


def _alone(
    study: Study, settings: BatchSettings, make_worker: MakeWorker
) -> Generator[StudyRecord, None, None]:
    """Segment one study in a process of its own."""
    try:
        yield from _records(iter([study]), deque(), settings, make_worker)
    except _DiedError as death:
        yield StudyRecord(
            study.name,
            FAILED,
            str(study.path),
            study.series,
            error=f"The process that segmented it, and nothing else, {_ended(death)}.",
            error_kind=CRASH,
        )


def _ended(death: _DiedError) -> str:
    if death.exitcode is None or death.exitcode >= 0:
        return f"ended unexpectedly (exit code {death.exitcode})"
    if -death.exitcode == getattr(signal, "SIGKILL", None):
        return "was killed, perhaps for lack of memory"
    return f"crashed (signal {-death.exitcode})"


def _records(
    waiting: Iterator[Study],
    begun: deque[Study],
    settings: BatchSettings,
    make_worker: MakeWorker,
) -> Generator[StudyRecord, None, None]:
    """Return the records of ``waiting`` in their order; ``begun`` are those that were handed out.

    Raises _DiedError if the process dies.
    """
    with closing(_Child(settings, make_worker)) as child:
        ended = False
        while True:
            while not ended and len(begun) <= AHEAD:
                study = next(waiting, None)
                ended = study is None
                if study is not None:
                    begun.append(study)
                child.send(study)
            if not begun:
                return
            record = child.record()
            begun.popleft()
            yield record


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Have processes that are started here not get Ctrl-C, which then waits for this one.

    They would say where they were when it came. Where there are no signals nothing is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Another process of Python's own, which would undo this when it starts with the first one.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Child:
    """A process with a worker, ready to segment. Its methods raise _DiedError if it is gone."""

    def __init__(self, settings: BatchSettings, make_worker: MakeWorker) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        # A daemon: it ends with this process even if nobody closes it.
        self._process = context.Process(
            target=_serve, args=(there, settings, make_worker), daemon=True
        )
        with _deaf_to_ctrl_c():
            self._process.start()
        there.close()
        try:
            self._message()
        except _DiedError as death:
            self.close()
            raise EngineError(
                f"The process that segments {_ended(death)} while the model was loaded.",
                "Try another device.",
            ) from None
        except BaseException:
            self.close()
            raise

    def send(self, study: Study | None) -> None:
        """Hand out a study; None is the last."""
        try:
            self._connection.send(study)
        except OSError:
            raise self._died() from None

    def record(self) -> StudyRecord:
        """Return the next record."""
        return self._message()

    def close(self) -> None:
        """End the process, which does so by itself when its connection is closed."""
        self._connection.close()
        self._process.join(_LONGEST_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _message(self) -> Any:
        """Return what comes next; log what the process warned of, raise what it raised."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                raise self._died() from None
            if isinstance(message, Exception):
                raise message
            if not isinstance(message, _Warning):
                return message
            logging.getLogger(message.logger).log(message.level, "%s", message.text)

    def _died(self) -> _DiedError:
        self._process.join(_LONGEST_END_S)
        return _DiedError(self._process.exitcode)


def _serve(connection: Connection, settings: BatchSettings, make_worker: MakeWorker) -> None:
    """Segment what comes through ``connection`` until None comes or the other side is gone."""
    # Ctrl-C is for the other side, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sending = threading.Lock()

    def send(message: Any) -> None:
        with sending:
            connection.send(message)

    logger = logging.getLogger(_LOGGER)
    logger.handlers, logger.propagate = [_Forwarding(send)], False
    studies: queue.SimpleQueue[Study | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, studies), daemon=True).start()
    try:
        with make_worker(settings) as worker:
            check_model(settings)  # after it was loaded: what is there by now was there before
            send(_READY)
            for record in worker.run_all(iter(studies.get, None)):
                send(record)
    except Exception as error:
        send(error)


def _receive(connection: Connection, studies: queue.SimpleQueue[Study | None]) -> None:
    """Put what comes into ``studies``; end this process at once when nobody wants its results."""
    try:
        while True:
            studies.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


class _Forwarding(logging.Handler):
    """Sends warnings to the other process, which knows how to show them."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(_Warning(record.name, record.levelno, record.getMessage()))
