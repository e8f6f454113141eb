"""Running a network on slices: one protocol, whatever library does the arithmetic."""

from GDLACore.engine.loading import load_engine
from GDLACore.engine.protocol import Engine

__all__ = ["Engine", "load_engine"]
