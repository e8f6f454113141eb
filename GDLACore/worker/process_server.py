"""The server in a process of its own, at the other end of two pipes."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import BinaryIO, NoReturn

from GDLACore.worker.messages import Alive, Command, Report
from GDLACore.worker.protocol import LONGEST_LINE, ProtocolError, decode_command, encode
from GDLACore.worker.server import serve
from GDLACore.worker.session_folder import clear_when_abandoned

# How long a client that is ending may take from closing its pipes to letting go of its folder.
_PATIENCE_S = 10.0

# Twice what the client waits for a sign of life.
_STUCK_S = 60.0


def serve_streams(commands: BinaryIO, reports: BinaryIO) -> NoReturn:
    """Carry out what ``commands`` says, report to ``reports``, and end the process.

    When ``commands`` ends, the client is gone or about to go: the process ends at once, whatever
    it is doing, and clears away the session folder, which it was started in, if nobody else can.
    """
    client = _Client(commands, reports)
    status = 0
    try:
        serve(client.receive, client.send, client.gone)
    except BaseException:
        traceback.print_exc()
        status = 1
    # Not `sys.exit`: a thread may wait for the client, and native libraries for their threads.
    _end(status)


class _Client:
    def __init__(self, commands: BinaryIO, reports: BinaryIO) -> None:
        self._commands = commands
        self._reports = reports
        self._turn = threading.Lock()
        self._folder = Path.cwd()

    def receive(self) -> Command | None:
        try:
            line = self._commands.readline(LONGEST_LINE)
        except OSError:
            return None
        if not line.endswith(b"\n"):
            if len(line) < LONGEST_LINE:
                return None
            raise ProtocolError("is too long")
        return decode_command(line)

    def send(self, report: Report) -> None:
        if isinstance(report, Alive):
            # Native code that holds Python's lock for ever would outlive the client too.
            # Not to ``sys.stderr``, in whose place there is no file while ONNX Runtime is imported.
            faulthandler.dump_traceback_later(_STUCK_S, exit=True, file=sys.__stderr__)
        line = memoryview(encode(report))
        with self._turn:
            try:
                while line:
                    line = line[self._reports.write(line) :]
            except OSError:
                self.gone()

    def gone(self) -> NoReturn:
        os.chdir(self._folder.parent)  # Windows keeps folders that someone is in
        clear_when_abandoned(self._folder, _PATIENCE_S)
        _end(0)


def _end(status: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(status)
