"""The worker as a process of its own, seen from the client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from GDLACore.errors import WorkerError
from GDLACore.process_tree import ProcessTree
from GDLACore.worker.connection import Broken, Gone, LaunchError
from GDLACore.worker.death import death
from GDLACore.worker.log_tail import LogTail
from GDLACore.worker.messages import Alive, Command, Report
from GDLACore.worker.protocol import LONGEST_LINE, ProtocolError, decode_report, encode

PROGRAM = Path(__file__).resolve().with_name("__main__.py")

# A process that outlives the worker may hold its pipes open. On a busy computer it may also take
# seconds until all is read that the worker said before it ended.
_DRAIN_S = 5.0


class WorkerProcess:
    """A process that is started, listened to and waited for by threads; see ``Connection``.

    ``argv`` starts an interpreter or a launcher of one, with ``environment`` or this process's;
    ``folder`` returns the folder to start it in, which may take its time; ``packages`` is a folder
    in front of where it looks for packages.
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Callable[[], Path],
        packages: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.reports: SimpleQueue[Report | Broken | Gone] = SimpleQueue()
        self.heard = 0
        self.ended = threading.Event()
        self._argv = [*argv, str(PROGRAM), *([] if packages is None else [str(packages)])]
        self._environment = _environment(os.environ if environment is None else environment)
        self._folder = folder
        self._commands: SimpleQueue[bytes | None] = SimpleQueue()
        self._log = LogTail()
        self._turn = threading.Lock()
        self._tree: ProcessTree | None = None
        self._killed = False
        _in_background(self._live)

    @property
    def log(self) -> str:
        return self._log.text()

    def send(self, command: Command) -> None:
        self._commands.put(encode(command))

    def kill(self) -> None:
        with self._turn:
            self._killed = True
            if self._tree is not None:
                self._tree.kill()

    def close(self, patience_s: float) -> None:
        self._commands.put(None)
        if not self.ended.wait(patience_s):
            self.kill()
            self.ended.wait(patience_s)

    def _live(self) -> None:
        try:
            tree = self._launched()
        except WorkerError as error:
            self.reports.put(Gone(error))
            self.ended.set()
            return
        with self._turn:
            self._tree = tree
            if self._killed:
                tree.kill()
        _in_background(self._write, tree.process.stdin)
        listeners = [
            _in_background(self._listen, tree.process.stdout),
            _in_background(self._log.read_from, tree.process.stderr),
        ]
        status = tree.wait()
        self._commands.put(None)
        deadline = time.monotonic() + _DRAIN_S
        for listener in listeners:
            listener.join(max(0.0, deadline - time.monotonic()))
        self.reports.put(Gone(death(status, self.log)))
        self.ended.set()

    def _launched(self) -> ProcessTree:
        """Return the process; raise LaunchError, or WorkerError if there is no folder for it."""
        folder = self._folder()
        try:
            return ProcessTree(self._argv, cwd=folder, env=self._environment)
        except OSError as error:
            raise LaunchError(
                f"The background process could not be started with {self._argv[0]}: "
                f"{error.strerror or error}.",
                "Check that this program is there and may be run.",
            ) from error

    def _write(self, stream: BinaryIO) -> None:
        try:
            with stream:
                while (line := self._commands.get()) is not None:
                    stream.write(line)
                    stream.flush()
        except OSError:  # how it ended is found out elsewhere
            pass

    def _listen(self, stream: BinaryIO) -> None:
        with stream:
            while line := stream.readline(LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                    return  # cut off by the end of the process
                self.heard += 1
                try:
                    report = decode_report(line)
                except ProtocolError as error:
                    report = Broken(error)
                if not isinstance(report, Alive):
                    self.reports.put(report)


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    return {
        **base,
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        # Slicer's launcher lets ITK and SimpleITK load a plugin that needs the application.
        "ITK_AUTOLOAD_PATH": "",
        "SITK_AUTOLOAD_PATH": "",
        "ORT_DISABLE_TELEMETRY": "1",
    }


def _in_background(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, name="gdla-client", daemon=True)
    thread.start()
    return thread
