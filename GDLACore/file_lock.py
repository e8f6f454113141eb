"""A lock on an open file, which the system lets go of when its process is gone, killed or not."""

from __future__ import annotations

import sys
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    # Far behind the text: on Windows a locked byte cannot be read.
    _LOCKED_BYTE = 1 << 20

    def lock(file: BinaryIO) -> bool:
        """Return whether nobody else, in this process or another, holds the lock; take it."""
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock(file: BinaryIO) -> bool:
        """Return whether nobody else, in this process or another, holds the lock; take it."""
        # Not lockf: its locks do not keep out another owner in the same process.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
