"""``SHA256SUMS``: what every file of a folder is, in the form that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from GDLACore.errors import DownloadError

CHECKSUMS = "SHA256SUMS"

_CHUNK = 1 << 20
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


@dataclass(frozen=True)
class Verdict:
    """How a folder compares with its checksums; paths are relative to it, with ``/``."""

    sound: tuple[str, ...]
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Return whether all files are there and none was changed; others do no harm."""
        return not (self.missing or self.changed)


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files in ``folder`` and below."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in _files(folder)]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def verify(folder: Path) -> Verdict:
    """Compare ``folder`` with its checksums; raise DownloadError if they cannot be read."""
    expected, found = read_checksums(folder), _files(folder)
    missing = [name for name in expected if name not in found]
    changed = [
        name for name in expected if name in found and sha256_of(folder / name) != expected[name]
    ]
    return Verdict(
        tuple(name for name in expected if name not in missing and name not in changed),
        tuple(missing),
        tuple(changed),
        tuple(name for name in found if name not in expected),
    )


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums that ``folder`` should have, by path; raise DownloadError if unclear."""
    path = folder / CHECKSUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise DownloadError(
            f"{path} cannot be read: {reason}.", "Choose a folder that `gdla bundle` has written."
        ) from error
    matches = [_LINE.fullmatch(line) for line in lines if line]
    if not matches or None in matches:
        raise DownloadError(f"{path} is damaged.", "Copy the folder again.")
    return {match[2]: match[1].lower() for match in matches if match}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; raise DownloadError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be read: {error.strerror or error}.", "Copy the folder again."
        ) from error
    return digest.hexdigest()


def _files(folder: Path) -> list[str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS]
    return sorted(path.relative_to(folder).as_posix() for path in paths)
