"""A process that may be the launcher of another, as Slicer's Python is, and ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


class ProcessTree:
    """A process with pipes for all its streams, and whatever it starts; ended as a whole.

    Ctrl-C in a terminal is not meant for it. Raises OSError if it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stderr: int = subprocess.PIPE,
    ) -> None:
        self._turn = threading.Lock()
        self._reaped = False
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=cwd,
            env=env,
            **_GROUP,
        )

    def kill(self) -> None:
        """End all of it, from any thread; does nothing once ``wait`` has returned."""
        with self._turn:
            if not self._reaped:
                _kill(self.process)

    def wait(self) -> int:
        """Return the exit status of the process; whatever it started is ended with it."""
        if hasattr(os, "waitid"):
            # Until it is waited for, no other process can have got its number.
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
            with self._turn:
                _kill(self.process)
                self._reaped = True
        status = self.process.wait()
        self._reaped = True
        return status


if sys.platform == "win32":
    _GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}

    def _kill(process: subprocess.Popen[bytes]) -> None:
        def kill() -> None:
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(process.pid)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                creationflags=subprocess.CREATE_NO_WINDOW,
                check=False,
            )
            process.kill()

        # It takes a moment, and nobody waits for it.
        threading.Thread(target=kill, name="gdla-kill", daemon=True).start()

else:
    import signal

    _GROUP = {"start_new_session": True}

    def _kill(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            pass
