"""Removing models from this computer: only ever files in the model folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from GDLACore.errors import ModelFileError, OutputError
from GDLACore.storage.checks import forget
from GDLACore.storage.folder import folder_hint
from GDLACore.storage.model import CHECKPOINTS, MODEL_SUFFIXES, StoredModel
from GDLACore.storage.part import begun_files
from GDLACore.weights.card_choice import card_file

# Windows: the file is open in another program, or a part of it is locked.
_IN_USE = (32, 33)


def remove_model(model: StoredModel, folder: Path) -> int:
    """Remove ``model`` and what was begun to be downloaded of it; return the bytes set free.

    Raises ModelFileError if it is part of the program or not in ``folder``, OutputError if the
    system refuses, then with nothing removed but begun downloads.
    """
    if model.shipped:
        raise ModelFileError(
            f"{model.name} is part of the program.", "Remove the program to remove it."
        )
    paths = begun_files(folder, model.name)
    if model.path is not None:
        if not _is_in(model.path, folder):
            raise ModelFileError(
                f"{model.path} is not in the model folder {folder}.", "Remove it yourself."
            )
        paths += [model.path, *_own_card(model.path)]
    if not paths:
        raise ModelFileError(f"{model.name} is not on this computer.", "There is nothing to do.")
    freed = sum(_remove(path) for path in paths)
    if model.path is not None:
        forget(model.path)
    return freed


def _is_in(path: Path, folder: Path) -> bool:
    """Return whether ``path`` lies in ``folder`` itself; a link in there may point anywhere."""
    return path.parent.resolve() == folder.resolve()


def _own_card(path: Path) -> list[Path]:
    """Return the card beside a checkpoint, unless it is another's as well."""
    card = card_file(path)
    if path.suffix.lower() not in CHECKPOINTS or not card.is_file():
        return []
    others = [path.with_suffix(suffix) for suffix in MODEL_SUFFIXES if suffix != path.suffix]
    return [] if any(other.exists() for other in others) else [card]


def _remove(path: Path) -> int:
    """Remove a file, or a link but not where it points; return the bytes set free."""
    size = 0
    with suppress(OSError):
        size = path.lstat().st_size
    try:
        path.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        if getattr(error, "winerror", None) in _IN_USE:
            raise OutputError(
                f"{path} is in use and cannot be removed.",
                "Wait until no segmentation runs with this model, or restart the program.",
            ) from error
        raise OutputError(
            f"{path} cannot be removed: {error.strerror or error}.", folder_hint()
        ) from error
    return size
