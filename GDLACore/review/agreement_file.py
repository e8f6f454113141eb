"""Agreements as a list that grows: a department's record of when its models can be trusted."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError
from GDLACore.review.agreement import AgreementReport

COLUMNS = (
    *("date", "model", "model_version", "slices", "slice_count", "structure"),
    *("model_ml", "corrected_ml", "dice", "voxels_added", "voxels_removed"),
)

# Spreadsheets take a file for UTF-8 only with this mark at its start.
_MARK = "\ufeff"
_LINE_END = b"\r\n"
# What a cell begins with that spreadsheets compute instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def append_agreements(path: Path, reports: Iterable[AgreementReport], day: date) -> None:
    """Add ``reports``, of the ``day`` they were made on, to the CSV file ``path``; it may be new.

    A row for each agreement, under the names in ``COLUMNS``. Nothing in it is about a patient:
    models and structures are named as in the model's card, after an apostrophe where a spreadsheet
    would take the name for a formula. All rows are written at once to the end
    that the file has then, so that of several computers none takes another's away, and what is in
    it stays; a last line that somebody left unfinished is ended. Raises OutputError if the file
    holds something else or cannot be written.
    """
    rows = _encoded(row for report in reports for row in _cells(report, day))
    try:
        with path.open("ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                rows = _MARK.encode() + _encoded([COLUMNS]) + rows
            else:
                file.seek(0)
                _check_names(path, file.readline(1000))
                file.seek(-1, os.SEEK_END)
                if file.read() != _LINE_END[-1:]:
                    rows = _LINE_END + rows
            written = 0
            while written < len(rows):  # at once, but for a disk that is full
                written += file.write(rows[written:])
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def _check_names(path: Path, line: bytes) -> None:
    """Raise OutputError if ``line``, the first of the file, does not have the columns' names."""
    names = line.decode(errors="replace").removeprefix(_MARK)
    if tuple(names.rstrip("\r\n").replace('"', "").split(",")) != COLUMNS:
        raise OutputError(
            f"{path} holds something else than a list of agreements.",
            "Choose another file, or a new one.",
        )


def _encoded(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=_LINE_END.decode()).writerows(rows)
    return text.getvalue().encode()


def _cells(report: AgreementReport, day: date) -> Iterator[tuple[object, ...]]:
    for one in report.agreements:
        yield (
            *(day.isoformat(), _text(report.model), _text(report.version)),
            *(report.slices, report.count, _text(one.structure)),
            *(f"{one.model_ml:.3f}", f"{one.corrected_ml:.3f}"),
            "" if one.dice is None else f"{one.dice:.4f}",
            *(one.added, one.removed),
        )


def _text(name: str) -> str:
    """Return ``name``, which is whatever a card says, as a cell that stays a text."""
    return f"'{name}" if name.startswith(_FORMULA) else name
