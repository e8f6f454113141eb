"""What a server is and which models it has, for whoever wants to know before relying on it."""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.model.card import ModelCard
from GDLACore.remote.server import RemoteServer


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
    """Return what ``server`` tells of itself; raise ServerError if it cannot be used."""
    raise NotImplementedError
