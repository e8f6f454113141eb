"""What earlier runs made of the studies of a plan, and which of it still holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.cohort.hashes import file_hash, input_hash
from GDLACore.cohort.names import key_of
from GDLACore.cohort.plan import Study
from GDLACore.cohort.record import StudyRecord
from GDLACore.errors import GDLAError, OutputError

# Called with the phase's name, the steps done, and how many there are.
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Earlier:
    """The names of the studies that need not be done again, and what is recorded of others.

    The images of ``unchanged`` are the recorded ones, as far as anybody knows: they cannot be read,
    or what was made of them is not there.
    """

    kept: frozenset[str]
    unchanged: Mapping[str, StudyRecord]


def with_recorded_names(plan: Sequence[Study], before: Mapping[str, StudyRecord]) -> list[Study]:
    """Return ``plan`` with the names under which its images are recorded.

    Names depend on what else is in a plan: what joins it must not have all done again. A name that
    another study of ``plan`` has is not taken.
    """
    taken = {key_of(study.name) for study in plan}
    recorded = {(one.input, one.series): one.name for one in before.values()}
    named = []
    for study in plan:
        name = recorded.get((str(study.path), study.series), study.name)
        if key_of(name) not in taken:
            taken.add(key_of(name))
            study = replace(study, name=name)
        named.append(study)
    return named


def look_back(
    plan: Sequence[Study],
    before: Mapping[str, StudyRecord],
    folder: Path,
    report: Report,
    *,
    overwrite: bool,
) -> Earlier:
    """Return what of ``plan`` is done; the results of ``before`` are in ``folder``.

    Raises OutputError if a record is of another study, unless that may be overwritten.
    """
    kept: set[str] = set()
    unchanged: dict[str, StudyRecord] = {}
    for number, study in enumerate(plan):
        report("checking", number, len(plan))
        record = before.get(study.name)
        if record is None or not record.done:
            continue
        sha256 = _hash_or_none(study)
        same_place = (record.input, record.series) == (str(study.path), study.series)
        if sha256 == record.input_sha256 and is_whole(folder, record):
            kept.add(study.name)
        elif sha256 == record.input_sha256 or (sha256 is None and same_place):
            unchanged[study.name] = record
        elif record.input != str(study.path) and not overwrite:
            raise OutputError(
                f"{folder} holds the result of {record.input} under the name {study.name}, which "
                f"is that of {study.path}, too.",
                "Choose another folder, or allow to replace results (--force).",
            )
    return Earlier(frozenset(kept), unchanged)


def is_whole(folder: Path, record: StudyRecord) -> bool:
    """Return whether the result of ``record`` is in ``folder``, as it was written."""
    try:
        return file_hash(folder / str(record.output)) == record.output_sha256
    except OSError:
        return False


def _hash_or_none(study: Study) -> str | None:
    try:
        return input_hash(study)
    except (OSError, GDLAError):  # doing the study will say what is wrong
        return None
