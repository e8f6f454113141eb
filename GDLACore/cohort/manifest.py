"""The manifest: a line for every study that was tried, on the disk before the next one begins."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from GDLACore.atomic import replacing, unwritable
from GDLACore.cohort.record import StudyRecord
from GDLACore.errors import OutputError

_LOG = logging.getLogger(__name__)


def read_manifest(path: Path) -> dict[str, StudyRecord]:
    """Return the records in ``path`` by name, the last of each; none if there is no such file.

    A line that is damaged, such as a torn last one, is left out with a warning: its study will be
    done again. Raises OutputError if the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check its permissions."
        ) from error
    records: dict[str, StudyRecord] = {}
    damaged = 0
    for line in data.splitlines():
        try:
            record = StudyRecord.from_line(line.decode("utf-8"))
        except (OutputError, UnicodeDecodeError):
            damaged += 1
            continue
        records[record.name] = record
    if damaged:
        _LOG.warning(
            "%d damaged %s of %s left out; the studies are done again.",
            damaged,
            "line is" if damaged == 1 else "lines are",
            path,
        )
    return records


def write_manifest(path: Path, records: Iterable[StudyRecord]) -> None:
    """Write ``records`` in their order, whole or not at all; raise OutputError if that fails."""
    with replacing(path) as part:
        part.write_text("".join(f"{one.to_line()}\n" for one in records), encoding="utf-8")


class OpenManifest:
    """A manifest to add records to; use it in a ``with`` statement. Raises OutputError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: BinaryIO = path.open("a+b")
            self._end_line()
        except OSError as error:
            raise unwritable(path, error) from error

    def add(self, record: StudyRecord) -> None:
        """Add a record and have the system store it; raise OutputError if it cannot."""
        try:
            self._file.write(record.to_line().encode("utf-8") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _end_line(self) -> None:
        """End a line that the last run could not: the next record must not be part of it."""
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def __enter__(self) -> OpenManifest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
