"""The SHA-256 of files and folders, calculated once as long as they do not change."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from GDLACore.errors import TrainingError, VolumeError
from GDLACore.imaging.data_files import data_files

_BLOCK = 1 << 20
_REMEMBERED = 1 << 17  # files: more than the largest published dataset has


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the paths and contents of all files below a folder.

    Of a header it is one of the files with its pixels, too. A file that had the same size, number
    and time of change before is not read again. Raises TrainingError if one cannot be read.
    """
    try:
        if path.is_dir():
            below = sorted(Path(root, name) for root, _, names in os.walk(path) for name in names)
            listing = {file.relative_to(path).as_posix(): _of_stored(file) for file in below}
            return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
        hashes = [_of_stored(file) for file in (path, *data_files(path))]
    except OSError as error:
        raise TrainingError(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            "Check that it exists, and that you may read it.",
        ) from error
    except VolumeError as error:
        raise TrainingError(error.message, error.hint) from error
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _of_stored(file: Path) -> str:
    found = file.stat()
    return _of_file(file, found.st_size, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=_REMEMBERED)
def _of_file(path: Path, size: int, changed: int, number: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
