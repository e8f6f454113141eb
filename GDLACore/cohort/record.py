"""What became of one study: one line of a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from GDLACore.errors import OutputError

DONE, FAILED = "done", "failed"

# Kinds of errors beside the classes': of the disk on which results are written, and of a process
# that did not live to tell.
DISK_ERROR, CRASH = "DiskError", "Crash"
# Of a study whose result held no longer when a run began, which was killed before it came to it.
CHANGED = "Changed"


@dataclass(frozen=True)
class StudyRecord:
    """What a study was and what became of it.

    ``input`` is the absolute path of the file or folder, and ``series`` says which DICOM series of
    the folder, as ``gdla segment --series`` takes it; None where there is but one. By
    ``series_sha256`` the series is known when that number changes, see ``Study``. ``output`` is
    relative to the folder of the results, with ``/``. ``seconds`` tells what reading, segmenting
    and writing took, ``volumes_ml`` how much of every structure was found, ``doubt`` how much of
    what was found is probably wrong, see ``GDLACore.cohort.doubt``, ``warnings`` what should be
    known about the result, and ``version`` which one of GDLACore made it. Of a failed study
    ``error`` is a sentence and ``error_kind`` the name of the error's class, DISK_ERROR, CRASH or
    CHANGED; hashes, output, doubt and version may be None then.
    """

    name: str
    status: str
    input: str
    series: str | None = None
    input_sha256: str | None = None
    output: str | None = None
    output_sha256: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    doubt: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    error_kind: str | None = None
    series_sha256: str | None = None
    version: str | None = None

    @property
    def done(self) -> bool:
        """Return whether there is a segmentation."""
        return self.status == DONE

    def without_result(self) -> StudyRecord:
        """Return what is known of the study itself: its result held no longer, or is not wanted."""
        return replace(
            self,
            status=FAILED,
            output=None,
            output_sha256=None,
            seconds={},
            volumes_ml={},
            doubt=None,
            error="Its image or its result has changed, and it has not been done again yet.",
            error_kind=CHANGED,
        )

    def to_line(self) -> str:
        """Return the record as JSON, on one line, without its end."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> StudyRecord:
        """Return the record that ``to_line`` wrote; raise OutputError for any other text."""
        try:
            data = json.loads(line)
            if not isinstance(data, dict):
                raise ValueError("no object")
            # Another version may know more or less of a study; what it did stays done.
            known = {one.name: data[one.name] for one in fields(cls) if one.name in data}
            record = cls(**{**known, "warnings": _texts(data.get("warnings", []))})
            _check(record)
        except (ValueError, TypeError, RecursionError) as error:
            raise OutputError(f"A line of the manifest is damaged: {line[:60]!r}.") from error
        return record


def _check(record: StudyRecord) -> None:
    texts = {"series", "series_sha256", "input_sha256", "output", "output_sha256"}
    texts |= {"error", "error_kind", "version"}
    for one in fields(StudyRecord):
        value: Any = getattr(record, one.name)
        if one.name in ("seconds", "volumes_ml"):
            sound = isinstance(value, dict) and all(map(_is_number, value.values()))
        elif one.name == "doubt":
            sound = value is None or _is_number(value)
        elif one.name in texts:
            sound = value is None or isinstance(value, str)
        elif one.name == "warnings":
            continue
        else:
            sound = isinstance(value, str) and value != ""
        if not sound:
            raise ValueError(one.name)
    whole = None not in (record.input_sha256, record.output, record.output_sha256)
    if record.status not in (DONE, FAILED) or (record.done and not whole):
        raise ValueError("status")


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("warnings")
    return tuple(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
