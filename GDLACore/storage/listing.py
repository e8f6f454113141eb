"""Which models there are: those of the catalogue, and what else is in the model folder.

Only the beginnings of files are read, so a list takes milliseconds.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_card, read_header
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import CatalogueEntry, catalogue
from GDLACore.model.file_access import AGAIN, opened
from GDLACore.storage.checks import Finding, findings
from GDLACore.storage.folder import folder_refusal
from GDLACore.storage.model import (
    ABSENT,
    CHECKPOINTS,
    DAMAGED,
    MODEL_SUFFIXES,
    READY,
    StoredModel,
)
from GDLACore.storage.part import begun_bytes
from GDLACore.weights.card_choice import checkpoint_card

_ZIP_START = b"PK"


@dataclass(frozen=True)
class _File:
    """A model file in the folder, and what its beginning tells."""

    path: Path
    size: int
    card: ModelCard | None
    problem: str
    checked: bool


def list_models(folder: Path) -> tuple[StoredModel, ...]:
    """Return the models of the catalogue in its order, then the other files in ``folder`` by name.

    Of several files of one model, the one named after it counts as the catalogue's. A folder that
    does not exist is empty. Raises OutputError if it cannot be read.
    """
    files = _files(folder)
    models = []
    for entry in catalogue():
        if entry.resource is not None:
            models.append(_shipped(entry, entry.resource))
            continue
        own = _file_of(entry, files)
        if own is None:
            begun = begun_bytes(folder, entry.name)
            models.append(StoredModel(entry.name, ABSENT, card=entry.card, size=begun, entry=entry))
        else:
            files.remove(own)
            models.append(_stored(own, entry.name, entry))
    return (*models, *(_stored(file, file.path.name, None) for file in files))


def find_model(name: str, folder: Path) -> StoredModel:
    """Return the model called ``name``: as listed, or by the name on its card if only one has it.

    Raises ModelFileError, listing all names, if there is none.
    """
    models = {model.name: model for model in list_models(folder)}
    if name in models:
        return models[name]
    by_card = [model for model in models.values() if model.card and model.card.name == name]
    if len(by_card) == 1:
        return by_card[0]
    close = get_close_matches(name, models, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise ModelFileError(f"No model is called {name!r}.", f"{hint}Known: {', '.join(models)}.")


def size_on_disk(folder: Path) -> int:
    """Return how many bytes the files in the model folder take, begun downloads included.

    Raises OutputError if it cannot be read.
    """
    return sum(status.st_size for _, status in _entries(folder))


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the files in ``folder``, sorted by name; none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            # Another program may remove a file just now.
            found = [(Path(e.path), e.stat()) for e in entries if e.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise folder_refusal(folder, "read", error) from error
    return sorted(found, key=lambda item: item[0].name)


def _files(folder: Path) -> list[_File]:
    known = findings(folder)
    return [
        _file(path, status, known.get(path.name))
        for path, status in _entries(folder)
        if path.suffix.lower() in MODEL_SUFFIXES
    ]


def _file(path: Path, status: os.stat_result, finding: Finding | None) -> _File:
    checked = finding is not None and finding.holds_for(status)
    try:
        card, problem = _card_of(path, status), ""
    except ModelFileError as error:
        card, problem = None, error.message
    if checked and finding is not None:
        problem = problem or finding.problem
    return _File(path, status.st_size, card, problem, checked)


def _card_of(path: Path, status: os.stat_result) -> ModelCard | None:
    """Return the card in the file or beside it, None if there is none where none need be."""
    if path.suffix.lower() not in CHECKPOINTS:
        return _card_inside(path, status.st_size, status.st_mtime_ns)
    with opened(path) as file:
        # A zip file's contents are listed at its end.
        if file.read(2) == _ZIP_START and not zipfile.is_zipfile(file):
            raise ModelFileError(f"{path} is cut off or damaged.", AGAIN)
    return checkpoint_card(path, None)


@lru_cache(maxsize=256)
def _card_inside(path: Path, size: int, mtime_ns: int) -> ModelCard:
    """Return the card in the file; it stays the same until size or time of change do not."""
    if path.suffix.lower() == ".safetensors":
        header, start = read_header(path)
        if size < start + _tensor_bytes(header):
            raise ModelFileError(f"{path} is cut off.", AGAIN)
    return read_card(path)


def _tensor_bytes(header: dict[str, Any]) -> int:
    """Return how many bytes a safetensors file has behind its header, 0 if that does not tell."""
    places = [entry.get("data_offsets") for entry in header.values() if isinstance(entry, dict)]
    ends = [place[1] for place in places if isinstance(place, list) and len(place) == 2]
    return max((end for end in ends if isinstance(end, int)), default=0)


def _file_of(entry: CatalogueEntry, files: list[_File]) -> _File | None:
    """Return the file of the model ``entry``, the most likely one first, None if there is none."""
    named = [file for file in files if file.path.stem == entry.name]
    mine = [file for file in named if file.card is None or file.card.name == entry.name]
    by_card = [file for file in files if file.card is not None and file.card.name == entry.name]
    # The file as its authors call it, if none of their other models is called the same.
    names = [other.file for other in catalogue()]
    theirs = [f for f in files if f.card is None and names.count(f.path.name) == 1]
    as_published = [file for file in theirs if file.path.name == entry.file]
    in_order = [*sorted(mine, key=lambda file: bool(file.problem)), *by_card, *as_published]
    return in_order[0] if in_order else None


def _stored(file: _File, name: str, entry: CatalogueEntry | None) -> StoredModel:
    card, problem = file.card or (entry.card if entry else None), file.problem
    if card is None and not problem:
        problem = f"{file.path} does not say which model it is."
    return StoredModel(
        name,
        DAMAGED if problem else READY,
        problem,
        card,
        file.path,
        file.size,
        file.checked,
        card_name=entry.name if entry and file.card is None and not problem else None,
        entry=entry,
    )


def _shipped(entry: CatalogueEntry, resource: Path) -> StoredModel:
    return StoredModel(
        entry.name,
        READY,
        card=entry.card,
        path=resource,
        size=resource.stat().st_size,
        shipped=True,
        entry=entry,
    )
