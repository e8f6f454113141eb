"""The Python that ONNX Runtime is installed for: the worker's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Python:
    """Started by ``command``, of an interpreter or a launcher of one, with ``environment``."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
