"""Which card a model is used with: the one inside its file, one beside it, or the one asked for."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import read_card, read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import find, is_card_file

_log = logging.getLogger(__name__)

# What a card and a network must have in common; the rest says how images are fed and named.
_NETWORK = {
    "architecture": "architecture",
    "in_channels": "number of channels",
    "input_size": "input size",
    "classes": "number of classes",
}


def own_card(path: Path, card: str | Path | None) -> ModelCard:
    """Return the card to use with the model file at ``path``, which has a card inside.

    Raises ModelFileError if it has none, and as ``agreed_card`` does.
    """
    return agreed_card(read_card(path), card, path)


def agreed_card(own: ModelCard, card: str | Path | None, path: Path) -> ModelCard:
    """Return ``own``, the card inside the file at ``path``, or the ``card`` file in its place.

    A card file, such as `gdla calibrate` writes, must describe the same network; the hash of the
    weights stays known. A name of the catalogue must be that of ``own``, which is then used.

    Raises ModelFileError if ``card`` is another model's.
    """
    if card is None:
        return own
    if not is_card_file(card):
        if find(str(card)).name != own.name:
            raise ModelFileError(
                f"{path} is the model {own.name} and cannot be used as {card}.",
                "Leave out the card: this file brings its own.",
            )
        return own
    given = read_card_file(Path(card))
    for field, words in _NETWORK.items():
        has, wanted = getattr(given, field), getattr(own, field)
        if has != wanted:
            raise ModelFileError(
                f"{card} does not describe the network in {path}: "
                f"its {words} is {has} instead of {wanted}.",
                "Leave out the card, which the file brings itself, or give one made from that.",
            )
    if None not in (given.sha256, own.sha256) and given.sha256 != own.sha256:
        raise ModelFileError(
            f"{card} was written for other weights than those in {path}.",
            "Leave out the card, which the file brings itself, or give one made from that.",
        )
    return replace(given, sha256=given.sha256 or own.sha256)


def checkpoint_card(path: Path, card: str | Path | None) -> ModelCard | None:
    """Return the ``card`` to use with a checkpoint, which has none inside; else the one beside it.

    A name of the catalogue is used even if a card that says otherwise lies beside the checkpoint,
    but not without a warning. None where nothing is asked for and nothing lies there.

    Raises ModelFileError for a name that is not in the catalogue, and a file that is no card.
    """
    beside = card_file(path)
    if card is None:
        return read_card_file(beside) if beside.exists() else None
    if is_card_file(card):
        return read_card_file(Path(card))
    named = find(str(card)).card
    if beside.exists() and not _says(beside, named):
        _log.warning(
            "%s is used with the card of %s, as asked for, and not with %s beside it, which "
            "says otherwise: leave out the card to use that one.",
            path,
            card,
            beside.name,
        )
    return named


def card_file(path: Path) -> Path:
    """Return the path at which the card of the checkpoint at ``path`` is looked for."""
    return path.with_suffix(".card.json")


def _says(path: Path, card: ModelCard) -> bool:
    try:
        return read_card_file(path) == card
    except ModelFileError:  # what cannot be read was meant to say something else
        return False
