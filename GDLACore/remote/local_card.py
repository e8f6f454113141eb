"""What this computer knows of a model that a server is to run: its card, without its network."""

from __future__ import annotations

from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_card, read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue, find, is_card_file
from GDLACore.remote.agreement import LocalCard
from GDLACore.storage.model import MODEL_SUFFIXES
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.loading import load_weights

_WITH_CARD = (".onnx", ".safetensors")


def is_name(model: str | Path) -> bool:
    """Return whether ``model`` is a name and not a file's path.

    Unlike one of the catalogue's, that of a server's model may have a dot in it.
    """
    path = Path(model)
    is_path = path.name != str(model) or path.suffix.lower() in MODEL_SUFFIXES
    return not (is_path or path.is_file())


def local_card(model: str | Path, card: str | Path | None) -> LocalCard | None:
    """Return what is known here of ``model`` with ``card``, which are as for ``load_engine``.

    None for a name that is not in the catalogue: a server may know it. The weights of a name need
    not be here. Raises ModelFileError for a file that cannot be used, and a card of another model.
    """
    given = card is not None and is_card_file(card)
    if is_name(model):
        known = next((entry for entry in catalogue() if entry.name == str(model)), None)
        if card is None:
            return None if known is None else LocalCard(known.card, is_given=False)
        if not given:
            return LocalCard(_of_that_name(find(str(card)).card, str(model)), is_given=False)
        if known is None:
            return LocalCard(_of_that_name(read_card_file(Path(card)), str(model)), is_given=True)
        return LocalCard(agreed_card(known.card, card, Path(model)), is_given=True)
    path = Path(model)
    if path.suffix.lower() in _WITH_CARD:
        return LocalCard(agreed_card(read_card(path), card, path), given)
    # Whose weights a checkpoint has shows only when they are read.
    return LocalCard(load_weights(path, card).card, given)


def _of_that_name(card: ModelCard, name: str) -> ModelCard:
    if card.name != name:
        raise ModelFileError(
            f"The card {card.name} is not that of the model {name}.",
            "Leave out the card, or name the model that it belongs to.",
        )
    return card
