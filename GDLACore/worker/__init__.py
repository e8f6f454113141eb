"""Segmenting in a process of its own, which cannot freeze or crash the one that shows images.

Nothing here but the server itself loads scipy, SimpleITK or an engine.
"""

from GDLACore.worker.client import WorkerClient
from GDLACore.worker.connection import LaunchError
from GDLACore.worker.events import (
    Doubt,
    Event,
    Failed,
    Finished,
    Loaded,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    Warned,
)
from GDLACore.worker.in_process import InProcessClient
from GDLACore.worker.messages import ModelRequest

__all__ = [
    "Doubt",
    "Event",
    "Failed",
    "Finished",
    "InProcessClient",
    "LaunchError",
    "Loaded",
    "ModelRequest",
    "Phase",
    "PreviewDone",
    "Previewed",
    "SlicesDone",
    "Started",
    "Stopped",
    "Warned",
    "WorkerClient",
]
