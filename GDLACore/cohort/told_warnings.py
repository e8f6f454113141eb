"""What the program warns of while it works on one study."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = "GDLACore"


@contextmanager
def warnings_of_this_thread() -> Iterator[list[str]]:
    """Yield a list to which the warnings that this thread logs in the ``with`` block are added."""
    told: list[str] = []
    collector = _Collector(told)
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(collector)
    try:
        yield told
    finally:
        logger.removeHandler(collector)


class _Collector(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._told.append(record.getMessage())
