"""From a model's name or file, and a server, to an engine whose network runs there."""

from __future__ import annotations

from pathlib import Path

from GDLACore.engine.protocol import Engine
from GDLACore.remote.server import RemoteServer


def open_remote_engine(
    model: str | Path,
    server: RemoteServer,
    *,
    card: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
) -> Engine:
    """Return an engine for ``model`` on ``server``."""
    raise NotImplementedError
