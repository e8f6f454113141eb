"""Where the files of a cohort's results lie, relative to their folder."""

from __future__ import annotations

import os
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError

SEGMENTATIONS, PICTURES = "segmentations", "pictures"
MANIFEST, SETTINGS, PAGE, LOCK = "manifest.jsonl", "settings.json", "qc.html", ".lock"


def segmentation_of(name: str, format_: str) -> str:
    """Return where the segmentation of the study ``name`` lies, with ``/``."""
    return f"{SEGMENTATIONS}/{name}.{format_}"


def picture_of(name: str) -> str:
    """Return where the picture of the study ``name`` lies, with ``/``."""
    return f"{PICTURES}/{name}.jpg"


def make_folder(folder: Path) -> None:
    """Make ``folder`` with all those it lies in; raise OutputError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(
            f"{folder} is a file, not a folder.", "Choose another folder for the results."
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error


def remove_results(folder: Path, name: str, format_: str) -> None:
    """Remove what there is of the study ``name``; raise OutputError if that fails."""
    for relative in (segmentation_of(name, format_), picture_of(name)):
        path = folder / relative
        try:
            if os.path.lexists(path):
                path.unlink()
        except OSError as error:
            raise unwritable(path, error) from error
