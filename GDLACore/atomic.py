"""Files appear whole or not at all, and an old file survives a new one that fails."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from GDLACore.errors import OutputError

_HINTS = {
    errno.ENOSPC: "Free some space on the disk, or choose another folder.",
    errno.EFBIG: "A limit of the file system or of your account forbids files of this size.",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success the file written takes its place.

    The temporary file is removed on every failure, Ctrl-C included. Raises OutputError for an
    OSError inside the block.
    """
    # Not tempfile.mkstemp: its files are private to the user, and so would the result be.
    # Short, because the name of the file itself may be as long as the file system allows.
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        yield part
        _flush_to_disk(part)
        os.replace(part, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error to show when the system refuses to write ``path``."""
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0, "Choose a folder you may write to.")
    return OutputError(f"{path} cannot be written: {reason}.", hint)


def _flush_to_disk(part: Path) -> None:
    """Have the system store the data, so that some disks' late errors come before the exchange."""
    descriptor = os.open(part, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
