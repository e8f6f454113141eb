"""The worker as a thread of this process, for where no other can be started."""

from __future__ import annotations

import threading
import traceback
from queue import SimpleQueue

from GDLACore.errors import WorkerError
from GDLACore.worker.client import WorkerClient
from GDLACore.worker.connection import Broken, Connection, Gone
from GDLACore.worker.messages import Alive, Cancel, Command, Report
from GDLACore.worker.server import serve


class WorkerThread:
    """See ``Connection``. It cannot be killed: left alone, it ends with its batch of slices."""

    def __init__(self) -> None:
        self.reports: SimpleQueue[Report | Broken | Gone] = SimpleQueue()
        self.heard = 0
        self.ended = threading.Event()
        self.log = ""
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        threading.Thread(target=self._live, name="gdla-worker", daemon=True).start()

    def send(self, command: Command) -> None:
        self._commands.put(command)

    def kill(self) -> None:
        self._commands.put(Cancel())
        self._commands.put(None)

    def close(self, patience_s: float) -> None:
        self.kill()
        self.ended.wait(2 * patience_s)

    def _live(self) -> None:
        error = WorkerError("The segmentation in the background has ended.")
        try:
            serve(self._commands.get, self._report, lambda: None)
        except Exception as unexpected:
            self.log = traceback.format_exc()
            error = WorkerError(
                f"The segmentation in the background failed: {unexpected}.",
                "Report this with the log.",
            )
        self._commands.put(None)  # for the thread that still waits for them
        self.reports.put(Gone(error))
        self.ended.set()

    def _report(self, report: Report) -> None:
        self.heard += 1
        if not isinstance(report, Alive):
            self.reports.put(report)


class InProcessClient(WorkerClient):
    """A ``WorkerClient`` whose worker is a thread of this process.

    A crash takes this process with it, and what does not stop in time goes on unseen for a batch.
    """

    def _launched(self) -> Connection:
        return WorkerThread()
