"""Results that are not as they were written: somebody's work, which no run replaces or removes."""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path

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


def set_aside(folder: Path, record: StudyRecord) -> Path | None:
    """Rename the result of ``record`` if somebody changed it, and return what it is called now.

    Results appear whole, so that a file with other contents is no half of one. Returns None if it
    is as it was written, empty, or not there; raises OutputError if it cannot be renamed.
    """
    endings = [one for one in FORMATS if record.output == segmentation_of(record.name, one)]
    path = folder / str(record.output)
    if not endings or (folder / SEGMENTATIONS).resolve() not in path.resolve().parents:
        return None
    try:
        if not path.is_file() or path.stat().st_size == 0 or is_whole(folder, record):
            return None
        stem = str(path).removesuffix(f".{endings[0]}")
        names = (Path(f"{stem}.changed-{number}.{endings[0]}") for number in count(1))
        free = next(name for name in names if not os.path.lexists(name))
        path.rename(free)
    except OSError as error:
        raise unwritable(path, error) from error
    return free


def all_set_aside(folder: Path) -> dict[str, list[str]]:
    """Return what lies in ``folder`` of changed results: their paths, by the studies' names."""
    found: dict[str, list[str]] = {}
    top = folder / SEGMENTATIONS
    for root, _, names in os.walk(top):
        for name in names:
            path = Path(root, name)
            if match := _SET_ASIDE.fullmatch(path.relative_to(top).as_posix()):
                found.setdefault(match[1], []).append(path.relative_to(folder).as_posix())
    return {name: sorted(paths) for name, paths in found.items()}
