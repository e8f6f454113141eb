"""What libraries print past Python while they are at work."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_STDERR = 2
_lock = threading.Lock()


@contextmanager
def captured_output() -> Iterator[Callable[[], str]]:
    """Keep what is printed inside from the terminal, and yield a function that returns it.

    ONNX Runtime tells why it refuses a GPU nowhere but on the process's stderr, and some of its
    Python code prints to stdout, where a worker's protocol runs. Other threads' stderr is held
    back too: keep what is done inside short. Python's warnings are dropped.
    """
    with _lock:
        printed = io.StringIO()
        with warnings.catch_warnings(), redirect_stdout(printed), redirect_stderr(printed):
            warnings.simplefilter("ignore")
            with _stderr_in_a_file() as native:
                yield lambda: printed.getvalue() + native()


@contextmanager
def _stderr_in_a_file() -> Iterator[Callable[[], str]]:
    """Redirect file descriptor 2; a program of windows only may have none, and prints nothing."""
    if sys.__stderr__ is not None:
        sys.__stderr__.flush()
    try:
        terminal = os.dup(_STDERR)
    except OSError:
        yield str
        return
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), _STDERR)
            try:
                yield lambda: _content(file)
            finally:
                os.dup2(terminal, _STDERR)
    finally:
        os.close(terminal)


def _content(file: io.BufferedRandom) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
