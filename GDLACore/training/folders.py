"""The files below a folder, without what operating systems leave there."""

from __future__ import annotations

import os
from pathlib import Path

from GDLACore.errors import TrainingError

_LEFT_BY_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini"}


def files_below(folder: Path) -> list[Path]:
    """Return all files in ``folder`` and its folders, linked ones too, in the order of their paths.

    Names that begin with a dot are left out. Raises TrainingError if there is no such folder, or
    if one cannot be listed.
    """
    if not os.path.isdir(folder):
        kind = "is a file, not a folder" if os.path.exists(folder) else "does not exist"
        raise TrainingError(f"The folder {folder} {kind}.", "Correct `folder` in the dataset file.")
    files: list[Path] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link to a folder above would be followed for ever
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _counts(name))
        files += [Path(root, name) for name in names if _counts(name)]
    return sorted(files)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _LEFT_BY_SYSTEMS


def _refuse(error: OSError) -> None:
    raise TrainingError(
        f"The folder {error.filename} cannot be listed: {error.strerror}.", "Check its permissions."
    ) from error
