"""What this computer knows of a model that a server is to run: its card, without its network."""

from __future__ import annotations

from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue, find, is_card_file
from GDLACore.remote.agreement import LocalCard
from GDLACore.storage.model import MODEL_SUFFIXES
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.identified import load_identified


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
    if not is_name(model):
        return LocalCard(load_identified(Path(model), card).card, given)
    known = next((entry for entry in catalogue() if entry.name == str(model)), None)
    if known is not None and known.resource is not None:
        return LocalCard(load_identified(known.resource, card).card, given)
    if card is None:
        return None if known is None else LocalCard(known.card, given)
    if not given:
        return LocalCard(_of_that_name(find(str(card)).card, str(model)), given)
    if known is None:
        return LocalCard(_of_that_name(read_card_file(Path(card)), str(model)), given)
    return LocalCard(agreed_card(known.card, card, Path(model)), given)


def _of_that_name(card: ModelCard, name: str) -> ModelCard:
    if card.name != name:
        raise ModelFileError(
            f"The card {card.name} is not that of the model {name}.",
            "Leave out the card, or name the model that it belongs to.",
        )
    return card
