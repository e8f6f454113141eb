"""Agreements as a list that grows: a department's record of when its models can be trusted."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from GDLACore.atomic import replacing
from GDLACore.errors import OutputError
from GDLACore.review.agreement import AgreementReport

COLUMNS = (
    *("date", "model", "slices", "slice_count", "structure"),
    *("model_ml", "corrected_ml", "dice", "voxels_added", "voxels_removed"),
)

# Spreadsheets take a file for UTF-8 only with this mark at its start.
_ENCODING = "utf-8-sig"


def append_agreements(path: Path, reports: Iterable[AgreementReport], day: date) -> None:
    """Add ``reports``, of the ``day`` they were made on, to the CSV file ``path``; it may be new.

    A row for each agreement, under the names in ``COLUMNS``. Nothing in it is about a patient:
    models and structures are named as in the model's card. The file is replaced as a whole, or left
    as it is. Raises OutputError if it holds something else or cannot be written.
    """
    before = _rows(path)
    with replacing(path) as part, part.open("w", encoding=_ENCODING, newline="") as file:
        writer = csv.writer(file)
        writer.writerows(before or [COLUMNS])
        for report in reports:
            writer.writerows(_cells(report, day))


def _cells(report: AgreementReport, day: date) -> Iterator[tuple[object, ...]]:
    for one in report.agreements:
        yield (
            *(day.isoformat(), report.model, report.slices, report.count, one.structure),
            *(f"{one.model_ml:.3f}", f"{one.corrected_ml:.3f}"),
            "" if one.dice is None else f"{one.dice:.4f}",
            *(one.added, one.removed),
        )


def _rows(path: Path) -> list[list[str]]:
    """Return what is in the file, nothing if it is not there or empty."""
    try:
        with path.open(encoding=_ENCODING, newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Choose a file that you may read and write.",
        ) from error
    except (UnicodeDecodeError, csv.Error):
        rows = [[]]
    if rows and tuple(rows[0]) != COLUMNS:
        raise OutputError(
            f"{path} holds something else than a list of agreements.",
            "Choose another file, or a new one.",
        )
    return rows
