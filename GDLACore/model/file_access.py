"""Opening a model file, and what is said alike wherever one cannot be used."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from GDLACore.errors import ModelFileError

AGAIN = "Copy or download the file again."

_MOST_LETTERS = 80


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open the file at ``path`` for reading bytes, for a ``with`` statement.

    Raises ModelFileError if the file is missing, empty, a folder or cannot be read, then or inside.
    """
    try:
        if not (path.is_dir() or stat.S_ISREG(path.stat().st_mode)):  # a pipe would be waited for
            raise ModelFileError(f"{path} is not a file.", "Check the path.")
        with path.open("rb") as file:
            if not file.peek(1):
                raise ModelFileError(f"{path} is empty.", AGAIN)
            yield file
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        if path.is_dir():  # reported as missing permission by Windows
            raise ModelFileError(
                f"{path} is a folder, not a model.", "Name the file in it."
            ) from None
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error


def check_readable(path: Path) -> None:
    """Raise ModelFileError as ``opened`` does."""
    with opened(path):
        pass


def printable(name: object) -> str:
    """Return a name out of a file in a form that suits one line of a message."""
    if not isinstance(name, (str, int)):
        return "an entry without a name"
    # A text may be as long as the file.
    text = ascii(name[:_MOST_LETTERS] if isinstance(name, str) else name)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 4]}...'"
