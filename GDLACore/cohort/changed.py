"""Results that are not as they were written: somebody's work, which no run replaces or removes."""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path, PurePath

from GDLACore.atomic import unwritable
from GDLACore.cohort.files import SEGMENTATIONS, segmentation_of
from GDLACore.cohort.hashes import file_hash
from GDLACore.cohort.record import StudyRecord
from GDLACore.cohort.settings import FORMATS

_ENDINGS = "|".join(map(re.escape, FORMATS))
_SET_ASIDE = re.compile(rf"(.+)\.changed-\d+\.(?:{_ENDINGS})", re.DOTALL)


def is_whole(folder: Path, record: StudyRecord) -> bool:
    """Return whether the result of ``record`` is in ``folder``, as it was written."""
    try:
        return file_hash(folder / str(record.output)) == record.output_sha256
    except OSError:
        return False


def is_changed(folder: Path, record: StudyRecord) -> bool:
    """Return whether somebody changed the result of ``record``.

    Results appear whole, so that a file with other contents is no half of one. Raises OutputError
    if it cannot be looked for.
    """
    path = folder / str(record.output)
    if _format(record) is None:
        return False
    try:
        return path.is_file() and path.stat().st_size > 0 and not is_whole(folder, record)
    except OSError as error:
        raise unwritable(path, error) from error


def set_aside(folder: Path, record: StudyRecord) -> Path | None:
    """Rename the result of ``record`` if somebody changed it, and return what it is called now.

    Returns None if nobody did; raises OutputError if it cannot be renamed.
    """
    if not is_changed(folder, record):
        return None
    path, ending = folder / str(record.output), f".{_format(record)}"
    stem = str(path).removesuffix(ending)
    names = (Path(f"{stem}.changed-{number}{ending}") for number in count(1))
    try:
        free = next(name for name in names if not os.path.lexists(name))
        path.rename(free)
    except OSError as error:
        raise unwritable(path, error) from error
    return free


def _format(record: StudyRecord) -> str | None:
    """Return the format of the result; None if it does not lie where results do."""
    if ".." in PurePath(record.name).parts:
        return None
    return next(
        (one for one in FORMATS if record.output == segmentation_of(record.name, one)), None
    )


def all_set_aside(folder: Path) -> dict[str, list[str]]:
    """Return what lies in ``folder`` of changed results: their paths, by the studies' names."""
    found: dict[str, list[str]] = {}
    top = folder / SEGMENTATIONS
    for root, _, names in os.walk(top, followlinks=True):
        for name in names:
            path = Path(root, name)
            if match := _SET_ASIDE.fullmatch(path.relative_to(top).as_posix()):
                found.setdefault(match[1], []).append(path.relative_to(folder).as_posix())
    return {name: sorted(paths) for name, paths in found.items()}
