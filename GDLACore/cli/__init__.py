"""The ``gdla`` command."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from GDLACore.cli.parser import command_line
from GDLACore.errors import GDLAError

OK, FAILED, STOPPED = 0, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one sentence on stderr."""
    arguments = command_line().parse_args(argv)
    _show_warnings(quiet=arguments.quiet)
    try:
        with _ended_in_order():
            arguments.command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("gdla: stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough. Python would complain at exit.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return FAILED
    except Exception as error:
        if arguments.debug:
            raise
        print(f"gdla: error: {_sentence(error)}", file=sys.stderr)
        return FAILED
    return OK


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a request to end (batch systems, closed terminals) clean up as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    # Windows has no SIGHUP.
    numbers = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sentence(error: Exception) -> str:
    if isinstance(error, GDLAError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory. Close other programs and try again."
    return f"Unexpected {type(error).__name__}: {error}. Add --debug to see where, and report it."


class _Warnings(logging.Handler):
    """Writes to the stderr of the moment, which a progress bar replaces to keep its place."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"gdla: {record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def _show_warnings(*, quiet: bool) -> None:
    logger = logging.getLogger("GDLACore")
    logger.handlers = [_Warnings(logging.ERROR if quiet else logging.WARNING)]
    logger.propagate = False
