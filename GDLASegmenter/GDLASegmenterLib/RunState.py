"""What a run is doing."""

from __future__ import annotations

from enum import Enum


class RunState(Enum):
    PREPARING = "preparing"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHING = "finishing"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
