"""The package's warnings, for whoever they are about: the log names no images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def warnings_told(tell: Callable[[str], None], package: str = "GDLACore") -> Iterator[None]:
    """Call ``tell`` with the message of each warning of ``package`` while this is entered."""
    handler = _Teller(tell)
    logger = logging.getLogger(package)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())
