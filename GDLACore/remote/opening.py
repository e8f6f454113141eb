"""From a model's name or file, and a server, to an engine whose network runs there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from GDLACore.engine.loading import load_engine
from GDLACore.engine.protocol import Engine
from GDLACore.errors import ServerError
from GDLACore.model.catalogue import model_file
from GDLACore.remote.agreement import LocalCard, agreed_card
from GDLACore.remote.client import Ask, ServerClient
from GDLACore.remote.description import (
    DescribedModel,
    described_model,
    listed_models,
    server_program,
)
from GDLACore.remote.engine import RemoteEngine
from GDLACore.remote.fall_back import EngineWithFallBack
from GDLACore.remote.local_card import local_card
from GDLACore.remote.server import RemoteServer
from GDLACore.remote.troubles import Refused
from GDLACore.weights.identified import load_identified

# Enough for a connection that breaks by chance; who has mistyped an address wants to know it soon.
_PATIENCE_S = 0.5


def open_remote_engine(
    model: str | Path,
    server: RemoteServer,
    *,
    card: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
) -> Engine:
    """Return an engine whose network runs on ``server``; all else is as for ``load_engine``.

    The server's model is the one called as the card of ``model``. What this computer knows of it,
    from its file or the catalogue, must be what the server tells; one of the two is enough.
    ``device``, ``runtime`` and ``threads`` are those of going on without the server.

    Raises ServerError if the server cannot be used, has no such model or another one of its name.
    """
    known = local_card(model, card)
    name = str(model) if known is None else known.card.name
    open_remote = partial(_remote_engine, name, known, server)
    if not server.fall_back:
        return open_remote()
    choice = {"device": device, "runtime": runtime, "threads": threads}
    open_local = partial(_local_engine, model, card, choice)
    return EngineWithFallBack(open_remote, open_local, None if known is None else known.card.sha256)


def _local_engine(model: str | Path, card: str | Path | None, choice: Mapping[str, Any]) -> Engine:
    """Return this computer's engine, with a card that tells which weights it has."""
    engine = load_engine(model, card=card, **choice)
    with ExitStack() as unless_it_is_known:
        unless_it_is_known.callback(engine.close)
        if engine.card.sha256 is None:
            found = load_identified(model_file(model), card).card.sha256
            engine.use_card(replace(engine.card, sha256=found))
        unless_it_is_known.pop_all()
    return engine


def _remote_engine(name: str, known: LocalCard | None, server: RemoteServer) -> RemoteEngine:
    client = ServerClient(server)
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(client.close)
        ask = partial(client.ask, patience_s=_PATIENCE_S)
        program = server_program(ask, server)
        served = _served(ask, server, name)
        card = agreed_card(known, served, server.host)
        if card is None:
            raise ServerError(
                f"The server {server.host} does not tell what its model {name} is, and this "
                "computer does not know it.",
                _names(ask, server) or "Give the model's file, or its card.",
            )
        engine = RemoteEngine(client, program, served, card)
        unless_it_opens.pop_all()
    return engine


def _served(ask: Ask, server: RemoteServer, name: str) -> DescribedModel:
    try:
        return described_model(ask, server, name)
    except Refused as error:
        if error.status not in (400, 404):
            raise
        raise ServerError(
            f"The server {server.host} has no model {name} that is ready.",
            _names(ask, server) or "Ask those who look after it which models it has.",
        ) from error


def _names(ask: Ask, server: RemoteServer) -> str:
    """Return which models the server has, in a sentence; "" if it does not tell."""
    listed = listed_models(ask, server)
    if listed is None:
        return ""
    names = sorted({model.name for model in listed if model.ready})
    return f"It has: {', '.join(names)}." if names else "It has none."
