"""The SHA-256 of files and folders, calculated once as long as they do not change."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from GDLACore.errors import TrainingError

_BLOCK = 1 << 20
_REMEMBERED = 1 << 17  # files: more than the largest published dataset has


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files.

    A file that had the same size, number and time of change before is not read again. Raises
    TrainingError if one cannot be read.
    """
    try:
        if path.is_dir():
            listing = {file.name: sha256(file) for file in sorted(path.iterdir()) if file.is_file()}
            return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
        found = path.stat()
        return _of_file(path, found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that it exists, and that you may read it.",
        ) from error


@lru_cache(maxsize=_REMEMBERED)
def _of_file(path: Path, size: int, changed: int, number: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
