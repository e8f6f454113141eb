"""Opening a model file, with every way this fails said to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from GDLACore.errors import ModelFileError


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open the file at ``path`` for reading bytes, for a ``with`` statement.

    Raises ModelFileError if the file is missing, a folder or cannot be read, then or inside.
    """
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        if path.is_dir():  # reported as missing permission by Windows
            raise ModelFileError(
                f"{path} cannot be read: it is a folder, not a model.", "Name the file in it."
            ) from None
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
