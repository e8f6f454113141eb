"""A private folder for the arrays of one client, which vanishes with its owner, however that ends.

The owner holds a lock on a file in the folder. The system lets go of the lock when the process is
gone, killed or not, so the next client knows whose folder it may clear away. Process numbers would
not tell: they are given out again.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import BinaryIO

from GDLACore.errors import WorkerError

_PREFIX = "GDLA-session-"
_NAME = re.compile(re.escape(_PREFIX) + r"\w{8}")
_OWNER = "owner"
_LONGEST_LOOK_S = 0.5
_MARK = b"This folder belongs to GDLASegmenter.\n"

if sys.platform == "win32":
    import msvcrt

    # Far behind the text: on Windows a locked byte cannot be read.
    _LOCKED_BYTE = 1 << 20

    def _lock(file: BinaryIO) -> bool:
        """Return whether nobody else, in this process or another, holds the lock; take it."""
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: BinaryIO) -> bool:
        """Return whether nobody else, in this process or another, holds the lock; take it."""
        # Not lockf: its locks do not keep out another client in the same process.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class SessionFolder:
    """The folder of one client, made in ``parent`` when it is first asked for.

    May be used from several threads.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._turn = threading.Lock()
        self._path: Path | None = None
        self._owner: BinaryIO | None = None
        self._closed = False

    @property
    def path(self) -> Path:
        """Return the folder; the first call makes it and clears those of dead owners away.

        Raises WorkerError if it cannot be made, or the client was closed.
        """
        with self._turn:
            if self._closed:
                raise WorkerError("The segmentation was closed.")
            if self._path is None:
                clear_abandoned(self._parent)
                try:
                    self._path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
                    self._owner = _owned(self._path)
                except OSError as error:
                    raise WorkerError(
                        f"No folder for temporary files can be made in {self._parent}: "
                        f"{error.strerror or error}.",
                        "Free some space there, or choose another folder for temporary files.",
                    ) from error
            return self._path

    def remove(self) -> None:
        """Remove the folder with all that is in it; files still open on Windows stay for later."""
        with self._turn:
            self._closed = True
            if self._owner is not None:
                self._owner.close()
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)


def clear_abandoned(parent: Path) -> None:
    """Remove the session folders in ``parent`` whose owners are gone, and nothing else."""
    try:
        candidates = [Path(entry) for entry in os.scandir(parent) if _NAME.fullmatch(entry.name)]
    except OSError:
        return
    for folder in candidates:
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def clear_when_abandoned(folder: Path, patience_s: float) -> None:
    """Remove ``folder`` if its owner lets go of it within ``patience_s`` seconds.

    A process that is ending closes its pipes a moment before or after its locks.
    """
    deadline = time.monotonic() + patience_s
    while folder.exists() and time.monotonic() < deadline:
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            return
        time.sleep(0.02)


def _is_abandoned(folder: Path) -> bool:
    """Return whether ``folder`` is a session folder of this user whose owner is gone."""
    try:
        status = folder.lstat()
        mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not (_NAME.fullmatch(folder.name) and stat.S_ISDIR(status.st_mode) and mine):
            return False
        with (folder / _OWNER).open("r+b") as owner:
            # Without the mark, its owner is just about to take the lock.
            return _lock(owner) and _is_marked(owner)
    except OSError:
        return False


def _owned(folder: Path) -> BinaryIO:
    """Return the owner's file of ``folder``, locked; the lock lasts until it is closed."""
    owner = (folder / _OWNER).open("x+b")
    # Someone may be looking at this very moment, and will see that the mark is missing. Where a
    # file system knows no locks, nobody gets one, and nothing is ever cleared away.
    deadline = time.monotonic() + _LONGEST_LOOK_S
    while not _lock(owner) and time.monotonic() < deadline:
        time.sleep(0.001)
    owner.seek(0)
    owner.write(_MARK)
    owner.flush()
    return owner


def _is_marked(owner: BinaryIO) -> bool:
    owner.seek(0)
    return owner.read(len(_MARK)) == _MARK
