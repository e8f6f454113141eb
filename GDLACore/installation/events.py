"""What is heard of an installation, in the order in which it happens.

Exactly one of Finished, Failed and Stopped is the last.
"""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.errors import GDLAError
from GDLACore.installation.runtime_state import Ready

_SENTENCES = {
    "preparing": "Looking at what is there",
    "asking": "Asking for {subject}",
    "downloading": "Downloading {subject}",
    "waiting": "The network does not answer; trying again",
    "unpacking": "Unpacking",
    "testing": "Trying it out",
}


@dataclass(frozen=True)
class Line:
    """A line for the log, as pip printed it."""

    text: str


@dataclass(frozen=True)
class Step:
    """What is going on now.

    ``phase`` is "preparing", "asking", "downloading", "waiting", "unpacking" or "testing";
    ``subject`` the package or file, if any. ``done`` of ``total`` bytes; ``total`` is None where
    nobody knows, as with a pip before 24.1.
    """

    phase: str
    subject: str = ""
    done: int = 0
    total: int | None = None

    @property
    def text(self) -> str:
        return _SENTENCES[self.phase].format(subject=self.subject)


@dataclass(frozen=True)
class Finished:
    """The build is there, works, and has replaced an older one."""

    state: Ready


@dataclass(frozen=True)
class Failed:
    """Nothing has changed, for a reason to show to the user."""

    error: GDLAError


@dataclass(frozen=True)
class Stopped:
    """It was cancelled; nothing has changed."""


Event = Line | Step | Finished | Failed | Stopped
