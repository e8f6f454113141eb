"""What the client has asked of the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from GDLACore.errors import GDLAError, WorkerError
from GDLACore.worker.array_file import WritingStopped
from GDLACore.worker.background import Background
from GDLACore.worker.connection import Connection
from GDLACore.worker.events import Failed, Phase
from GDLACore.worker.messages import ModelRequest, Preview, Segment
from GDLACore.worker.session_files import GoOn, SessionFiles

# Of the phase "writing": enough for a bar that moves, not so many that they cost anything.
_STEPS = 20


@dataclass(frozen=True)
class Loading:
    """A model being made ready; not ``asked`` for if it was ready before the worker failed.

    ``begun``: the worker has said something of it.
    """

    number: int
    model: ModelRequest
    asked: bool = True
    begun: bool = False
    cancelled: bool = False


class Job:
    """A segmentation or a preview: its volume is written, and then it is asked for.

    ``begun``: the worker has said something of it. Everything is for the client's thread, and what
    takes its time is done in ``background``, as is all with ``files``.
    """

    def __init__(
        self,
        number: int,
        model: ModelRequest,
        connection: Connection,
        background: Background,
        files: SessionFiles,
    ) -> None:
        self.number = number
        self.model = model
        self.begun = False
        self.cancelled = False
        self.request: Segment | Preview | None = None
        self._connection = connection
        self._background = background
        self._files = files
        self._news: SimpleQueue[Phase | Failed] = SimpleQueue()
        self._turn = threading.Lock()

    def hand_over(self, name: str, write: Callable[[GoOn], Segment | Preview]) -> None:
        """Have the volume ``name`` written, by ``write``, and the request sent that it returns."""
        self._background.do(lambda: self._hand_over(name, write))

    def news(self) -> Iterator[Phase | Failed]:
        """Yield what has been said since of the phase "writing", and of its failure."""
        with suppress(Empty):
            while True:
                yield self._news.get_nowait()

    def cancel(self) -> bool:
        """Keep the request from being sent; return whether that was in time."""
        with self._turn:
            self.cancelled = True
            return self.request is None

    def move_to(self, connection: Connection) -> None:
        """Send the request, now or when it is ready, to another worker."""
        with self._turn:
            self._connection = connection
            if self.request is not None:
                connection.send(self.request)

    def end(self) -> None:
        """Have its files removed, but for a volume that can be asked about again."""
        self.cancel()
        self._background.do(self._files.end_request)

    def _hand_over(self, name: str, write: Callable[[GoOn], Segment | Preview]) -> None:
        try:
            self._send(write(self._go_on()))
        except WritingStopped:
            pass
        except GDLAError as error:
            self._news.put(Failed(self.number, error))
        except Exception as error:
            shown = WorkerError(
                f"{name} could not be handed over: {error}.",
                "Try again; if it happens again, report it with the log.",
            )
            self._news.put(Failed(self.number, shown))

    def _go_on(self) -> GoOn:
        """Return what is asked after each chunk, and tells how far it is."""
        told = -1

        def go_on(done: int, total: int) -> bool:
            nonlocal told
            step = _STEPS * done // total
            if step > told:
                told = step
                self._news.put(Phase(self.number, "writing", step, _STEPS))
            return not self.cancelled

        return go_on

    def _send(self, request: Segment | Preview) -> None:
        with self._turn:
            if not self.cancelled:
                self.request = request
                self._connection.send(request)
