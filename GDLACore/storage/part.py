"""The beginning of a file that is being fetched: ``NAME.part``, kept until the rest has come.

Beside it lies ``NAME.part.json``, which says of what file it is the beginning.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from GDLACore.errors import DownloadError
from GDLACore.storage.control import Control
from GDLACore.storage.model import MODEL_SUFFIXES
from GDLACore.storage.remote import RemoteFile

_CHUNK = 1 << 20
_RETRY_S = 0.2  # between attempts to get hold of a file that another program has open
_REPLACE_S = 5.0  # a virus scanner may look at a new file for that long


def part_path(target: Path) -> Path:
    """Return where the beginning of ``target`` is kept."""
    return target.with_name(f"{target.name}.part")


def note_path(target: Path) -> Path:
    """Return where it is kept what the beginning of ``target`` belongs to."""
    return target.with_name(f"{target.name}.part.json")


def begun_files(folder: Path, model: str) -> list[Path]:
    """Return the files of a begun download of the model called ``model``."""
    targets = [folder / f"{model}{suffix}" for suffix in MODEL_SUFFIXES]
    paths = [path for target in targets for path in (part_path(target), note_path(target))]
    return [path for path in paths if path.is_file()]


def begun_bytes(folder: Path, model: str) -> int:
    """Return how many bytes a begun download of the model called ``model`` takes."""
    return sum(path.stat().st_size for path in begun_files(folder, model))


class PartFile:
    """The bytes of ``remote`` that are here already, open for writing and locked."""

    def __init__(self, file: IO[bytes], target: Path, remote: RemoteFile) -> None:
        self._file = file
        self._target = target
        self._remote = remote
        self._digest = hashlib.sha256()
        self.size = 0
        self.validator: str | None = None

    def resume(self, control: Control) -> None:
        """Take what is there as the beginning, unless it is another file's; Cancelled."""
        note = self._note()
        if note.get("sha256") != self._remote.sha256:
            self._file.truncate(0)
            return
        validator = note.get("validator")
        self.validator = validator if isinstance(validator, str) else None
        total = os.fstat(self._file.fileno()).st_size
        while chunk := self._file.read(_CHUNK):
            self._digest.update(chunk)
            self.size += len(chunk)
            control.report("checking", self.size, total)

    def restart(self, validator: str | None) -> None:
        """Throw away what is there; ``validator`` is how the server names the file's state."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0
        self.validator = validator
        note = {"sha256": self._remote.sha256, "validator": validator}
        note_path(self._target).write_text(json.dumps(note), encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def sha256(self) -> str:
        """Return the SHA-256 of what is there."""
        return self._digest.hexdigest()

    def become_target(self, control: Control) -> None:
        """Put the file, which is whole, in its place."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()  # Windows renames no open file
        _replace(part_path(self._target), self._target, control)
        note_path(self._target).unlink(missing_ok=True)

    def _note(self) -> dict[str, object]:
        try:
            note = json.loads(note_path(self._target).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}


@contextmanager
def locked_part(
    remote: RemoteFile, target: Path, control: Control, patience: float
) -> Iterator[PartFile]:
    """Open the part of ``target`` for one download at a time.

    Another one, of this program or of a second one, is waited for, for ``patience`` seconds. An
    empty part does not stay. Raises DownloadError if the other takes longer; Cancelled; OSError.
    """
    path = part_path(target)
    with _opened_alone(path, remote, control, patience) as file:
        part = PartFile(file, target, remote)
        try:
            yield part
        finally:
            if not part.size:
                _remove(file, target)


@contextmanager
def _opened_alone(
    path: Path, remote: RemoteFile, control: Control, patience: float
) -> Iterator[IO[bytes]]:
    attempts = max(1, round(patience / _RETRY_S))
    for _ in range(attempts):
        # Neither "r+" nor "w" makes a file that is not there and keeps one that is.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(descriptor, "r+b") as file:
            if _lock(file) and _is_still_at(file, path):
                yield file
                return
        control.report("waiting", 0)
        control.wait(_RETRY_S)
    raise DownloadError(
        f"{remote.url} is being downloaded already, by another window or program.",
        "Wait until that is done.",
    )


def _remove(file: IO[bytes], target: Path) -> None:
    """Remove an empty part; another program that waits for it must not be left with no file."""
    if sys.platform == "win32":
        file.close()  # removes no open file, so none that another has opened by now
    for path in (part_path(target), note_path(target)):
        with suppress(OSError):
            path.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Return whether nobody else works on ``file``; the lock goes when it is closed, or we die."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # A byte far behind the end: a locked byte could not be read by others.
            os.lseek(file.fileno(), 1 << 40, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # some network drives know no locks
    return True


def _is_still_at(file: IO[bytes], path: Path) -> bool:
    """Return whether ``file`` was not renamed before it could be locked."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _replace(part: Path, target: Path, control: Control) -> None:
    for attempt in range(round(_REPLACE_S / _RETRY_S) + 1):
        try:
            os.replace(part, target)
        except FileNotFoundError:
            if not target.is_file():  # brought by another download, since this one let it go
                raise
            return
        except PermissionError:
            if sys.platform != "win32" or attempt * _RETRY_S >= _REPLACE_S:
                raise
            control.wait(_RETRY_S)
        else:
            return
