"""Whether the model on a server is the one that is meant here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from GDLACore.model.card import ModelCard
from GDLACore.remote.description import DescribedModel
from GDLACore.remote.troubles import WrongAnswer
from GDLACore.serving.contract import disagreement

_log = logging.getLogger(__name__)

_Fact = Callable[[ModelCard], object]

# What a network is, and what a server does to a slice.
_NETWORK: Mapping[str, _Fact] = {
    "version": lambda card: card.version,
    "architecture": lambda card: card.architecture,
    "number of channels": lambda card: card.in_channels,
    "input size": lambda card: card.input_size,
    "number of classes": lambda card: card.classes,
    "resampling": lambda card: card.resampling,
}

# How images are fed and what is found is called, here: a card given by the user may say otherwise.
_USE: Mapping[str, _Fact] = {
    "list of structures": lambda card: tuple(label.name for label in card.labels),
    "intensity profile": lambda card: card.intensity,
    "slice axis": lambda card: card.slice_axis,
    "view": lambda card: card.view,
}

_HINT = "Use the same model on both sides: export the one here for the server, or get the server's."


@dataclass(frozen=True)
class LocalCard:
    """The card of a model that is known here; ``is_given`` if the user named another than its own.

    Its ``sha256`` is known if the weights are on this computer.
    """

    card: ModelCard
    is_given: bool


def agreed_card(local: LocalCard | None, served: DescribedModel, host: str) -> ModelCard | None:
    """Return the card to use with the model ``served`` by ``host``; None if neither side has one.

    Its ``sha256`` is that of the weights which the server must have, None if it does not tell.

    Raises WrongAnswer if the two sides mean different models, or if the served one does not take
    and give what ours do.
    """
    if local is None or served.card is None:
        card = served.card if local is None else local.card
    else:
        card = _agreed(local, served.card, host)
    if card is None:
        return None
    if problem := disagreement(served.metadata, card):
        raise WrongAnswer(
            f"The model {served.name} of the server {host} is not the model {card.name} "
            f"{card.version}. {problem}",
            "Export the model for the server with `gdla export --triton`.",
        )
    if card.sha256 is None and local is not None:
        _log.warning(
            "Whether the server %s has the weights of version %s of the model %s cannot be "
            "checked: it does not tell.",
            host,
            card.version,
            card.name,
        )
    return card


def _agreed(local: LocalCard, told: ModelCard, host: str) -> ModelCard:
    card = local.card
    facts = _NETWORK if local.is_given else {**_NETWORK, **_USE}
    for words, fact in facts.items():
        here, there = fact(card), fact(told)
        if here != there:
            raise WrongAnswer(
                f"The model {card.name} of the server {host} is not the one here: its {words} is "
                f"{_shown(there)} instead of {_shown(here)}.",
                _HINT,
            )
    if None not in (card.sha256, told.sha256) and card.sha256 != told.sha256:
        raise WrongAnswer(
            f"The model {card.name} {card.version} of the server {host} has other weights "
            f"(SHA-256 {told.sha256[:12]}…) than the one here ({card.sha256[:12]}…).",
            _HINT,
        )
    return replace(card, sha256=told.sha256)


def _shown(fact: object) -> str:
    text = ", ".join(map(str, fact)) if isinstance(fact, tuple) else str(fact)
    return text if len(text) <= 100 else f"{text[:100]}…"
