"""The models that are measured, as the files their users have.

``golden-b2`` is the published network with the weights of the golden vectors, in a file like the
authors': its time is that of any weights, and its results can be held against the authors' own.
Everything else is a name in the catalogue or a model file with its card inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fresh import ROOT, run_fresh

from GDLACore.model.bundle import read_card
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import find

GOLDEN = "golden-b2"
_GOLDEN_FILE = ROOT / "build/bench/pvtgdla-golden.ckpt"


@dataclass(frozen=True)
class ModelFile:
    """A file of weights and its card; ``card_name`` is what a file without a card needs."""

    path: Path
    card: ModelCard
    card_name: str | None = None


def model_file(name: str) -> ModelFile:
    """Return the file of ``name``; the golden one is written where it is not there yet (129 MB).

    Raises ModelFileError for a name that is none, or a file without a card.
    """
    if name == GOLDEN:
        if not _GOLDEN_FILE.exists():
            run_fresh("golden_checkpoint.py", _GOLDEN_FILE)
        return ModelFile(_GOLDEN_FILE, find("synapse").card, "synapse")
    path = Path(name)
    if not path.suffix and not path.exists():
        path = find(name).resource or path
    return ModelFile(path, read_card(path))
