"""What went wrong where nobody could catch it: in handlers, in observers, inside Qt.

PythonQt and VTK print an exception of a handler and go on; Qt prints its warnings. All of them come
to the one list that a test must find empty.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from pythonqt.binding import QtCore

# Of the platform without a screen, not of the program.
_HARMLESS = re.compile("This plugin does not support|propagateSizeHints|Populating font|qt.qpa")


@dataclass(frozen=True)
class Problem:
    """``where`` is a signal's signature, or who noticed; ``error`` an exception or a message."""

    where: str
    error: BaseException | str
    text: str = field(repr=False, default="")

    def __str__(self) -> str:
        return f"{self.where}: {self.error!r}\n{self.text}"


problems: list[Problem] = []


def report(where: str, error: BaseException | str) -> None:
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    problems.append(Problem(where, error, text))


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Keep an exception of a handler from the caller, who is Qt and could do nothing about it."""
    try:
        yield
    except Exception as error:
        report(where, error)


def collect_all() -> None:
    """Send here also what VTK's observers raise and what Qt warns of."""
    sys.excepthook = _noticed("exception", sys.__excepthook__)
    QtCore.qInstallMessageHandler(_qt_message)


def _noticed(where: str, otherwise: Callable) -> Callable:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            report(where, error)
        otherwise(kind, error, trace)

    return hook


def _qt_message(kind: QtCore.QtMsgType, context: object, message: str) -> None:
    serious = kind not in (QtCore.QtMsgType.QtDebugMsg, QtCore.QtMsgType.QtInfoMsg)
    if serious and not _HARMLESS.search(message):
        report("Qt", message)
