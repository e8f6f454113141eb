"""pydicom and highdicom kept from saying what they think of values, which name the patient."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_LOGGERS = ("highdicom", "pydicom")


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing of pydicom and highdicom reach the log or the screen.

    Warnings and loggers are the whole program's: threads that are in here at a time share one
    silence, which the first brings and the last takes away.
    """
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()


class _Silence:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._undo.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            for logger in map(logging.getLogger, _LOGGERS):
                self._undo.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.CRITICAL)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._undo.close()


_SILENCE = _Silence()
