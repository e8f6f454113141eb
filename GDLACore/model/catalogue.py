"""The models this version knows: ``Resources/models.json``, one entry per model.

A model that ships with the code names its file and takes the card from it; any other model has
its card in the entry, so that its users can point to a file they fetched themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_card
from GDLACore.model.card import SHA256, SHA256_MEANING, ModelCard
from GDLACore.model.fields import Fields, inside, parse_json, refuse
from GDLACore.resources import resource_path

SCHEMA_VERSION = 1

_URL = r"https://[^\s]+"


@dataclass(frozen=True)
class CatalogueEntry:
    """One model: its card, and what is known of the file that holds its weights.

    ``file`` is the file's name, ``sha256`` its hash, ``url`` where it can be fetched; None where
    not publicly known. ``resource`` is the file itself where it ships with the code.
    """

    card: ModelCard
    file: str | None = None
    sha256: str | None = None
    url: str | None = None
    resource: Path | None = None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def licence(self) -> str:
        """Return the terms of the weights."""
        return self.card.provenance.licence


@lru_cache(maxsize=1)
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Return the entries of the catalogue that ships with the code, in its order.

    Raises ModelFileError if the catalogue or a model that it ships is damaged or missing.
    """
    return read_catalogue(resource_path("models.json"))


def find(name: str) -> CatalogueEntry:
    """Return the entry called ``name``; raise ModelFileError, listing all names, if none is."""
    entries = {entry.name: entry for entry in catalogue()}
    if name in entries:
        return entries[name]
    close = get_close_matches(name, entries, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise ModelFileError(f"No model is called {name!r}.", f"{hint}Known: {', '.join(entries)}.")


def is_card_file(card: str | Path) -> bool:
    """Return whether ``card`` is the path of a card's JSON file, and not a name to ``find``."""
    path = Path(card)
    return path.suffix.lower() == ".json" or path.name != str(card)


def model_file(model: str | Path) -> Path:
    """Return the file of ``model``; a bare name that is no file is looked up in the catalogue.

    Raises ModelFileError for a name that is not in it, or whose model does not ship with the code.
    """
    path = Path(model)
    if path.suffix or path.is_file() or path.name != str(model):
        return path
    entry = find(str(model))
    if entry.resource is None:
        raise ModelFileError(
            f"The checkpoint of {model} is not on this computer.",
            f"Download it from {entry.card.provenance.source} and give the file's path, "
            f"with --card {model}.",
        )
    return entry.resource


def read_catalogue(path: Path) -> tuple[CatalogueEntry, ...]:
    """Return the entries of the catalogue at ``path``; shipped files are looked up beside it.

    Raises ModelFileError naming the field at fault.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Install the program again."
        ) from error
    data = parse_json(text, str(path))
    with inside(f"{path}: "):
        fields = Fields(data)
        fields.integer("schema", SCHEMA_VERSION, SCHEMA_VERSION)
        entries = fields.objects("models", lambda item: _entry(item, path.parent))
        fields.finish()
        names = [entry.name for entry in entries]
        for name in names:
            if names.count(name) > 1:
                refuse("models", f"must have different names, but {name!r} is used twice")
    return entries


def _entry(data: Any, folder: Path) -> CatalogueEntry:
    fields = Fields(data)
    resource = fields.optional("resource", fields.text)
    if resource is None:
        card = fields.object("card", ModelCard.from_dict)
        file = fields.optional(
            "file", lambda name: fields.matching(name, r"[\w.-]+", "a file name without a folder")
        )
        shipped = None
    else:
        shipped = _shipped(resource, folder)
        card = read_card(shipped)
        file = shipped.name
    entry = CatalogueEntry(
        card=card,
        file=file,
        sha256=fields.optional(
            "sha256", lambda name: fields.matching(name, SHA256, SHA256_MEANING)
        ),
        url=fields.optional("url", lambda name: fields.matching(name, _URL, "an https address")),
        resource=shipped,
    )
    fields.finish()
    return entry


def _shipped(resource: str, folder: Path) -> Path:
    relative = PurePosixPath(resource)
    if relative.is_absolute() or ".." in relative.parts or "\\" in resource or ":" in resource:
        refuse("resource", f"must be a path inside {folder}, not {resource!r}")
    return folder.joinpath(*relative.parts)
