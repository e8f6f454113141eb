"""What earlier runs made of the studies of a plan, and which of it still holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.cohort.changed import all_set_aside, is_changed, is_whole
from GDLACore.cohort.hashes import input_hash
from GDLACore.cohort.names import free_name, key_of
from GDLACore.cohort.plan import Study
from GDLACore.cohort.record import CHANGED, FAILED, StudyRecord
from GDLACore.errors import GDLAError, OutputError

# Called with the phase's name, the steps done, and how many there are.
Report = Callable[[str, int, int], None]

# By what a study is known to be the recorded one, the surest first. What joins or goes changes the
# numbers of series, so that these say nothing.
_MARKS: tuple[Callable[[StudyRecord], tuple[str | None, ...]], ...] = (
    lambda one: (one.name, one.input_sha256),  # wherever it lies now
    lambda one: (one.input, one.input_sha256),
    lambda one: (one.input, one.series_sha256),
    lambda one: (one.input, "the only one" if one.series is None else None),
)


@dataclass(frozen=True)
class Earlier:
    """A plan with the names under which its images are recorded, and results that still hold.

    Those of ``kept`` were made of the same images. Of ``unread`` the images cannot be read now, so
    that nobody knows of a change.
    """

    plan: tuple[Study, ...]
    kept: Mapping[str, StudyRecord]
    unread: Mapping[str, StudyRecord]


def look_back(
    plan: Sequence[Study],
    before: Mapping[str, StudyRecord],
    folder: Path,
    report: Report,
    *,
    overwrite: bool,
) -> Earlier:
    """Return what of ``plan`` is done; the results of ``before`` are in ``folder``.

    Raises OutputError if a name is that of an image elsewhere, unless that may be overwritten.
    """
    hashes = _hashes(plan, before, report)
    records = _records_of(plan, hashes, before)
    named = _named(plan, records, before, folder, overwrite=overwrite)
    kept, unread = {}, {}
    for record, sha256 in zip(records, hashes, strict=True):
        if record is None or not record.done or not is_whole(folder, record):
            continue
        if sha256 == record.input_sha256:
            kept[record.name] = record
        elif sha256 is None:
            unread[record.name] = record
    return Earlier(tuple(named), kept, unread)


def _hashes(
    plan: Sequence[Study], before: Mapping[str, StudyRecord], report: Report
) -> list[str | None]:
    """Return the hash of each study that may be recorded by one; None where there is none."""
    known = [one for one in before.values() if one.done or one.error_kind == CHANGED]
    names, inputs = {one.name for one in known}, {one.input for one in known}
    hashes: list[str | None] = []
    for number, study in enumerate(plan):
        report("checking", number, len(plan))
        wanted = study.name in names or str(study.path) in inputs
        hashes.append(_hash_or_none(study) if wanted else None)
    return hashes


def _hash_or_none(study: Study) -> str | None:
    try:
        return input_hash(study)
    except (OSError, GDLAError):  # doing the study will say what is wrong
        return None


def _records_of(
    plan: Sequence[Study], hashes: Sequence[str | None], before: Mapping[str, StudyRecord]
) -> list[StudyRecord | None]:
    """Return the record of each study, None for what has none; no record is that of two."""
    wanted = [
        StudyRecord(
            one.name, FAILED, str(one.path), one.series, sha256, series_sha256=one.series_sha256
        )
        for one, sha256 in zip(plan, hashes, strict=True)
    ]
    found: list[StudyRecord | None] = [None] * len(plan)
    left = dict(before)
    for mark in _MARKS:
        marked: dict[tuple[str | None, ...], list[StudyRecord]] = defaultdict(list)
        for record in left.values():
            if None not in mark(record):
                marked[mark(record)].append(record)
        for number, one in enumerate(wanted):
            alike = marked.get(mark(one), []) if found[number] is None else []
            same = next((other for other in alike if not _are_two_series(one, other)), None)
            if same is not None:
                alike.remove(same)
                found[number] = left.pop(same.name)
    return found


def _are_two_series(one: StudyRecord, other: StudyRecord) -> bool:
    uids = one.series_sha256, other.series_sha256
    return None not in uids and uids[0] != uids[1]


def _named(
    plan: Sequence[Study],
    records: Sequence[StudyRecord | None],
    before: Mapping[str, StudyRecord],
    folder: Path,
    *,
    overwrite: bool,
) -> list[Study]:
    """Return ``plan`` with recorded names; what has none gets one of which there is no result."""
    given = {key_of(record.name) for record in records if record is not None}
    # Under these lies what somebody made of another image, or nobody knows of which.
    corrected = set(map(key_of, all_set_aside(folder)))
    taken = {key_of(name) for name in (*before, *(study.name for study in plan))} | corrected
    named = []
    for study, record in zip(plan, records, strict=True):
        name = study.name
        other = before.get(name)
        if record is not None:
            name = record.name
        elif key_of(name) in given:
            name = free_name(name, taken)
        elif other is not None and other.done:
            if other.input == str(study.path):
                name = free_name(name, taken)
            elif not overwrite:
                raise OutputError(
                    f"{folder} holds the result of {other.input} under the name {name}, which is "
                    f"that of {study.path}, too.",
                    "Choose another folder, or allow to replace results (--force).",
                )
            elif key_of(name) in corrected or is_changed(folder, other):
                name = free_name(name, taken)
        elif key_of(name) in corrected:
            name = free_name(name, taken)
        uid = study.series_sha256
        if record is not None and study.series is None:
            uid = uid or record.series_sha256  # a folder may be damaged, and does not tell it then
        named.append(replace(study, name=name, series_sha256=uid))
    return named
