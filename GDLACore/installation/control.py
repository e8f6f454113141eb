"""How the work of an installation tells how far it is, and is stopped with all it has started."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from GDLACore.errors import Cancelled, InstallationError
from GDLACore.installation.events import Event, Line, Step
from GDLACore.process_tree import ProcessTree

_LOG_LINES = 200

# A process that outlives the one that was started may hold its pipe open. On a busy computer it may
# also take seconds until all is read that was said before the end.
_DRAIN_S = 5.0


class Control:
    """Shared by the thread that works and the one that may cancel it."""

    def __init__(self) -> None:
        self.events: SimpleQueue[Event] = SimpleQueue()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._turn = threading.Lock()
        self._cancelled = False
        self._tree: ProcessTree | None = None

    def log(self) -> str:
        return "\n".join(self._log.copy())

    def tell(self, event: Line | Step) -> None:
        self.events.put(event)

    def note(self, line: str) -> None:
        """Keep ``line`` for those who look into a failure."""
        self._log.append(line)

    def cancel(self) -> None:
        """Have the work raise Cancelled at its next step, and end the process it waits for."""
        with self._turn:
            self._cancelled = True
            if self._tree is not None:
                self._tree.kill()

    def check(self) -> None:
        """Raise Cancelled if the work is to stop."""
        if self._cancelled:
            raise Cancelled("Stopped.")

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        hear: Callable[[str], None],
    ) -> int:
        """Run a program and return its exit status; ``hear`` gets each line that it prints.

        Its stdin stays open for as long as this process lives. Raises InstallationError if it
        cannot be started, Cancelled.
        """
        self.check()
        try:
            tree = ProcessTree(argv, cwd=cwd, env=env, stderr=subprocess.STDOUT)
        except OSError as error:
            raise InstallationError(
                f"Python could not be started with {argv[0]}: {error.strerror or error}.",
                "Check that this program is there and may be run.",
            ) from error
        with self._turn:
            self._tree = tree
            if self._cancelled:
                tree.kill()
        listener = threading.Thread(
            target=_listen, args=(tree.process.stdout, hear), name="gdla-installation", daemon=True
        )
        listener.start()
        status = tree.wait()
        deadline = time.monotonic() + _DRAIN_S
        listener.join(max(0.0, deadline - time.monotonic()))
        tree.process.stdin.close()
        with self._turn:
            self._tree = None
        self.check()
        return status


def _listen(stream: BinaryIO, hear: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            hear(line.decode("utf-8", "replace").rstrip("\r\n"))
