"""One model as it is on this computer, or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import CatalogueEntry

READY, ABSENT, DAMAGED = "ready", "absent", "damaged"

CHECKPOINTS = (".ckpt", ".pth", ".pt")
MODEL_SUFFIXES = (".onnx", ".safetensors", *CHECKPOINTS)


@dataclass(frozen=True)
class StoredModel:
    """A model that is known here.

    ``name`` tells it from all others: the catalogue's, or the name of a file that the catalogue
    does not know. ``state`` is READY, ABSENT (not on this computer) or DAMAGED, and ``problem``
    says in a sentence why it cannot be used, "" where it can. ``card`` is None where nothing tells
    what a file is. ``size`` is what it takes on the disk, in bytes, begun downloads included.
    ``checked`` is whether all its bytes have been compared with their checksum since they were
    last written; a model that has not is checked when it is loaded. ``shipped`` models are part of
    the program and cannot be removed. ``card_name`` is the card to load ``path`` with, None where
    the file, or another beside it, tells.
    """

    name: str
    state: str
    problem: str = ""
    card: ModelCard | None = None
    path: Path | None = None
    size: int = 0
    checked: bool = False
    shipped: bool = False
    card_name: str | None = None
    entry: CatalogueEntry | None = None

    @property
    def title(self) -> str:
        return self.card.title if self.card else self.name
