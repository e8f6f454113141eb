"""Running a network on slices: one protocol, whatever library does the arithmetic."""

from GDLACore.engine.loading import engine_for, load_engine
from GDLACore.engine.protocol import Engine
from GDLACore.engine.providers import DEVICES

__all__ = ["DEVICES", "Engine", "engine_for", "load_engine"]
