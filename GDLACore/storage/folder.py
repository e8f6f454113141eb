"""Where models are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from GDLACore.errors import OutputError

FOLDER_VARIABLE = "GDLA_MODEL_DIR"

_PROGRAM = "GDLASegmenter"


def model_folder(host: Path | None = None) -> Path:
    """Return the folder for models, which need not exist yet.

    It is what the environment variable GDLA_MODEL_DIR says; else ``host``, the folder that the
    program around us keeps for this; else one among the user's data.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser().absolute()
    return host if host is not None else _user_data() / _PROGRAM / "models"


def ensure_folder(folder: Path) -> None:
    """Make ``folder`` if it does not exist; raise OutputError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_refusal(folder, "made", error) from error


def folder_refusal(folder: Path, verb: str, error: OSError) -> OutputError:
    """Return the error to show when the system refuses that ``folder`` is made or read."""
    reason = (
        "it is not a folder"
        if isinstance(error, (FileExistsError, NotADirectoryError))
        else (error.strerror or str(error))
    )
    return OutputError(f"The model folder {folder} cannot be {verb}: {reason}.", folder_hint())


def folder_hint() -> str:
    """Return what to do about the model folder: who has chosen it?"""
    if os.environ.get(FOLDER_VARIABLE):
        return f"The variable {FOLDER_VARIABLE} names it: ask whoever has set that, or unset it."
    return f"Name another folder with the environment variable {FOLDER_VARIABLE}."


def _user_data() -> Path:
    if sys.platform == "win32":
        # Not the roaming part, which is copied over the network at every login.
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    shared = os.environ.get("XDG_DATA_HOME", "")
    return Path(shared) if os.path.isabs(shared) else Path.home() / ".local" / "share"
