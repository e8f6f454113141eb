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
from GDLACore.worker.connection import Connection
from GDLACore.worker.events import Failed, Phase
from GDLACore.worker.messages import ModelRequest, Segment, VolumeFile

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
    """Writes ``volume`` to the session folder in a thread, and then sends the request.

    ``begun``: the worker has said something of it. Everything is for the client's thread.
    """

    def __init__(
        self,
        number: int,
        model: ModelRequest,
        options: SegmentOptions,
        connection: Connection,
    ) -> None:
        self.number = number
        self.model = model
        self.begun = False
        self.cancelled = False
        self.request: Segment | None = None
        self._options = options
        self._connection = connection
        self._news: SimpleQueue[Phase | Failed] = SimpleQueue()
        self._turn = threading.Lock()
        self._over = threading.Event()

    def start(self, volume: Volume, folder: Callable[[], Path]) -> None:
        """Begin; ``folder`` returns the session folder, which may take its time."""
        threading.Thread(
            target=self._hand_over, args=(volume, folder), name="gdla-job", daemon=True
        ).start()

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
        """Remove the volume's file as soon as it is not being written any more."""
        self.cancel()
        self._over.set()

    def _hand_over(self, volume: Volume, folder: Callable[[], Path]) -> None:
        path: Path | None = None
        try:
            path = folder() / f"volume-{self.number}.npy"
            for old in path.parent.glob("labels-*.npy"):
                _removed(old)
            write_array(path, volume.array, self._go_on())
            self._send(volume, path)
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
        del volume  # the memory of a volume that the user may have closed
        self._over.wait()
        if path is not None:
            _removed(path)

    def _go_on(self) -> Callable[[int, int], bool]:
        shown = -1

        def go_on(done: int, total: int) -> bool:
            nonlocal shown
            step = _STEPS * done // total
            if step > shown:
                shown = step
                self._news.put(Phase(self.number, "writing", step, _STEPS))
            return not self.cancelled

        return go_on

    def _send(self, volume: Volume, path: Path) -> None:
        file = VolumeFile(
            str(path), tuple(volume.ijk_to_ras.ravel().tolist()), volume.name, volume.modality
        )
        labels = path.with_name(f"labels-{self.number}.npy")
        request = Segment(self.number, self.model, file, self._options, str(labels))
        with self._turn:
            if not self.cancelled:
                self.request = request
                self._connection.send(request)


def _removed(path: Path) -> None:
    """Remove the file now; on Windows one that is still open goes with the session folder."""
    with suppress(OSError):
        path.unlink()
