"""What can be done in the panel, and when: the one table of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PanelState(Enum):
    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Enabled:
    """``choices``: everything that says what to segment, and installing and removing.

    ``result``: editing, reviewing and measuring the selected segmentation. ``addCase``: adding it
    to a training set. ``preview``: asking the worker for slices as they are looked at, which it
    cannot do during a run, nor while what it runs on is being changed. ``progress``: the bar is
    shown.
    """

    choices: bool
    segment: bool
    cancel: bool
    result: bool
    addCase: bool
    preview: bool
    progress: bool


ENABLED = {
    #                                choices segment cancel result addCase preview progress
    PanelState.IDLE: Enabled(True, True, False, True, True, True, False),
    PanelState.PREPARING: Enabled(False, False, True, False, False, False, True),
    PanelState.RUNNING: Enabled(False, False, True, True, False, False, True),
    PanelState.CANCELLING: Enabled(False, False, False, False, False, False, True),
    PanelState.FAILED: Enabled(True, True, False, True, True, True, False),
    PanelState.DONE: Enabled(True, True, False, True, True, True, False),
}
