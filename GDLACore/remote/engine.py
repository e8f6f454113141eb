"""The remote engine: a server does the network, this computer what belongs to the image."""

from __future__ import annotations


class RemoteEngine:
    """A served model with its card; see ``Engine``."""
