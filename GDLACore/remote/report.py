"""What a server is and which models it has, for whoever wants to know before relying on it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial

from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue
from GDLACore.remote.agreement import LocalCard, agreed_card
from GDLACore.remote.client import Ask, ServerClient
from GDLACore.remote.description import (
    ListedModel,
    described_model,
    listed_models,
    server_program,
)
from GDLACore.remote.server import RemoteServer
from GDLACore.remote.troubles import Refused, WrongAnswer

_QUESTIONS = 5


@dataclass(frozen=True)
class ServedModel:
    """A model of a server.

    ``ready``: it can be used now. ``card`` is what the server tells of it, None if nothing.
    ``problem`` is a sentence about why it cannot be used, "" if it can.
    """

    name: str
    version: str
    ready: bool
    card: ModelCard | None
    problem: str


@dataclass(frozen=True)
class ServerReport:
    """A server's program and its version, the median time of a short answer, and its models."""

    name: str
    version: str
    latency_s: float
    models: tuple[ServedModel, ...]


def check_server(server: RemoteServer) -> ServerReport:
    """Return what ``server`` tells of itself; raise ServerError if it cannot be used.

    It is asked once, without trying again. Of a server that does not list its models, those of the
    catalogue are looked for.
    """
    client = ServerClient(server)
    try:
        ask = partial(client.ask, patience_s=0.0)
        program = server_program(ask, server)
        latency = _latency(ask, server)
        listed = listed_models(ask, server)
        if listed is None:
            listed = [ListedModel(entry.name, "", True, "") for entry in catalogue()]
            models = [_looked_for(ask, server, one) for one in listed]
        else:
            models = [_served(ask, server, one) for one in listed]
    finally:
        client.close()
    found = tuple(model for model in models if model is not None)
    return ServerReport(program.name, program.version, latency, found)


def _latency(ask: Ask, server: RemoteServer) -> float:
    """Return the median seconds of a short question and its answer on an open connection."""
    times = []
    for _ in range(_QUESTIONS):
        start = time.perf_counter()
        server_program(ask, server)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _looked_for(ask: Ask, server: RemoteServer, model: ListedModel) -> ServedModel | None:
    try:
        described_model(ask, server, model.name)
    except Refused:
        return None
    except WrongAnswer:
        pass  # there is one, and what is wrong with it will be said
    return _served(ask, server, model)


def _served(ask: Ask, server: RemoteServer, model: ListedModel) -> ServedModel:
    if not model.ready:
        why = f": {model.reason}" if model.reason else ""
        return ServedModel(model.name, model.version, False, None, f"It is not ready{why}.")
    try:
        described = described_model(ask, server, model.name)
    except (Refused, WrongAnswer) as error:
        return ServedModel(model.name, model.version, False, None, error.message)
    version = model.version or described.version or ""
    known = next((entry.card for entry in catalogue() if entry.name == model.name), None)
    problem = ""
    try:
        card = agreed_card(known and LocalCard(known, is_given=False), described, server.host)
        if card is None:
            problem = "It does not tell what it is: only who has its card can use it."
    except WrongAnswer as error:
        problem = error.message
    return ServedModel(model.name, version, not problem, described.card, problem)
