"""What the client has asked of the worker, and the files that go with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from GDLACore.errors import GDLAError, WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker.array_file import WritingStopped, write_array
from GDLACore.worker.background import Background
from GDLACore.worker.connection import Connection
from GDLACore.worker.events import Failed, Phase
from GDLACore.worker.messages import ModelRequest, Segment, VolumeFile
from GDLACore.worker.session_folder import SessionFolder

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
    """A segmentation: its volume is written to the session folder, and then it is asked for.

    ``begun``: the worker has said something of it. Everything is for the client's thread, and what
    takes its time is done in ``background``.
    """

    def __init__(
        self,
        number: int,
        model: ModelRequest,
        options: SegmentOptions,
        connection: Connection,
        background: Background,
    ) -> None:
        self.number = number
        self.model = model
        self.begun = False
        self.cancelled = False
        self.request: Segment | None = None
        self._options = options
        self._connection = connection
        self._background = background
        self._news: SimpleQueue[Phase | Failed] = SimpleQueue()
        self._turn = threading.Lock()
        self._path: Path | None = None

    def hand_over(self, volume: Volume, session: SessionFolder) -> None:
        """Have ``volume`` written, and the request sent."""
        self._background.do(lambda: self._hand_over(volume, session))

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
        """Have the volume's file removed."""
        self.cancel()
        self._background.do(self._remove_volume)

    def _hand_over(self, volume: Volume, session: SessionFolder) -> None:
        try:
            for old in session.path.glob("labels-*.npy"):
                _remove(old)
            self._path = session.path / f"volume-{self.number}.npy"
            write_array(self._path, volume.array, self._go_on())
            self._send(volume, self._path)
        except WritingStopped:
            pass
        except GDLAError as error:
            self._news.put(Failed(self.number, error))
        except Exception as error:
            shown = WorkerError(
                f"{volume.name} could not be handed over: {error}.",
                "Try again; if it happens again, report it with the log.",
            )
            self._news.put(Failed(self.number, shown))

    def _remove_volume(self) -> None:
        if self._path is not None:
            _remove(self._path)

    def _go_on(self) -> Callable[[int, int], bool]:
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

    def _send(self, volume: Volume, path: Path) -> None:
        matrix = tuple(volume.ijk_to_ras.ravel().tolist())
        file = VolumeFile(str(path), matrix, volume.name, volume.modality)
        labels, cleaned = (
            str(path.with_name(f"labels-{self.number}{kind}.npy")) for kind in ("", "-cleaned")
        )
        request = Segment(self.number, self.model, file, self._options, labels, cleaned)
        with self._turn:
            if not self.cancelled:
                self.request = request
                self._connection.send(request)


def _remove(path: Path) -> None:
    """Remove the file now; on Windows one that is still open goes with the session folder."""
    with suppress(OSError):
        path.unlink()
