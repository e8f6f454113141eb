"""SHA-256 of a study's input and of its result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from GDLACore.cohort.plan import Study
from GDLACore.errors import VolumeError
from GDLACore.imaging.data_files import data_files

_BLOCK = 1 << 20


def input_hash(study: Study) -> str:
    """Return the SHA-256 of a file, or for several files that of their hashes.

    It depends on what the files hold, not on what they are called or where they are. Hashes of
    DICOM files are sorted; those of a header and the files with its pixels are as the header has
    them. Raises OSError if one cannot be read, VolumeError if it is not known which they are.
    """
    hashes = [file_hash(path) for path in _files(study)]
    if study.files:
        hashes.sort()
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; raise OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _files(study: Study) -> Iterable[Path]:
    if study.damage:
        raise VolumeError(
            f"The folder {study.path.name} could not be read when it was found: {study.damage}",
            "Then give the command again.",
        )
    if study.files:
        return [study.path / name for name in study.files]
    return [study.path, *data_files(study.path)]
