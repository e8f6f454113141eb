"""A folder that belongs to a running program, and that others may remove once that is gone.

The owner holds a lock on a file in the folder. The system lets go of the lock when the process is
gone, killed or not, so the next program knows whose folder it may clear away. Process numbers would
not tell: they are given out again.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from GDLACore.file_lock import lock

_OWNER = "owner"
_LONGEST_LOOK_S = 0.5
_MARK = b"This folder belongs to GDLASegmenter.\n"


class OwnedFolder:
    """A new folder in ``parent`` that no other user can look into; its name begins with ``prefix``.

    Raises OSError if it cannot be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._owner = _owned(self.path)

    def close(self) -> None:
        """Let go of the folder: whoever clears such folders away may have it."""
        self._owner.close()

    def remove(self) -> None:
        """Remove the folder with all that is in it; files still open on Windows stay for later."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)


def clear_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders in ``parent`` that OwnedFolder made and whose owners are gone."""
    try:
        candidates = [Path(entry) for entry in os.scandir(parent)]
    except OSError:
        return
    for folder in candidates:
        if is_abandoned(folder, prefix):
            shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(folder: Path, prefix: str) -> bool:
    """Return whether ``folder`` was made by OwnedFolder for this user, and its owner is gone."""
    if not re.fullmatch(re.escape(prefix) + r"\w{8}", folder.name):
        return False
    try:
        status = folder.lstat()
        mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not (stat.S_ISDIR(status.st_mode) and mine):
            return False
        with (folder / _OWNER).open("r+b") as owner:
            # Without the mark, its owner is just about to take the lock.
            return lock(owner) and _is_marked(owner)
    except OSError:
        return False


def _owned(folder: Path) -> BinaryIO:
    """Return the owner's file of ``folder``, locked; the lock lasts until it is closed."""
    owner = (folder / _OWNER).open("x+b")
    # Someone may be looking at this very moment, and will see that the mark is missing. Where a
    # file system knows no locks, nobody gets one, and nothing is ever cleared away.
    deadline = time.monotonic() + _LONGEST_LOOK_S
    while not lock(owner) and time.monotonic() < deadline:
        time.sleep(0.001)
    owner.seek(0)
    owner.write(_MARK)
    owner.flush()
    return owner


def _is_marked(owner: BinaryIO) -> bool:
    owner.seek(0)
    return owner.read(len(_MARK)) == _MARK
