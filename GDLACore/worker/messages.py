"""What client and worker say to each other: the types behind docs/worker-protocol.md.

Every request has a number, ``job``, chosen by the client and rising.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.errors import GDLAError
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.remote import RemoteServer
from GDLACore.worker.events import (
    Doubt,
    Failed,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Stopped,
    Warned,
)

VERSION = 3


@dataclass(frozen=True)
class ModelRequest:
    """A model and where it should run; the fields are ``GDLACore.engine.load_engine``'s.

    With a ``server``, the model's file need not be on this computer.
    """

    model: str
    card: str | None = None
    device: str = "auto"
    runtime: str = "auto"
    threads: int | None = None
    server: RemoteServer | None = None

    def with_full_paths(self) -> ModelRequest:
        """Return the request with its files as seen from the current folder.

        A name without a folder and a suffix is one of the catalogue; with a server, so is one with
        a suffix that is no file, for models there may have dots in their names.
        """
        is_bare = Path(self.model).name == self.model
        is_served = self.server is not None and is_bare and not os.path.isfile(self.model)
        model = self.model if is_served else _full_path(self.model)
        card = None if self.card is None else _full_path(self.card)
        return replace(self, model=model, card=card, server=_with_full_path(self.server))


@dataclass(frozen=True)
class VolumeFile:
    """A ``Volume`` whose array is the ``.npy`` file ``array``.

    ``ijk_to_ras``: its 16 numbers (mm), row by row.
    """

    array: str
    ijk_to_ras: tuple[float, ...]
    name: str
    modality: str | None


@dataclass(frozen=True)
class CorrectedSlices:
    """Labels of the slices ``indices``, stacked in the ``.npy`` file ``array`` [n, h, w]."""

    array: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Hello:
    """The client's first message.

    The worker ends by itself when nothing has been asked of it for ``idle_s`` seconds.
    """

    version: int
    idle_s: float


@dataclass(frozen=True)
class Load:
    """Have the model ready; left out if another request waits that needs a model."""

    job: int
    model: ModelRequest


@dataclass(frozen=True)
class Segment:
    """Segment ``volume`` into a new file, ``labels``, going by ``corrections`` if there are any.

    ``cleaned`` is for the labels after a clean-up, ``confidence`` for how sure of them the network
    is, if the options ask for that.
    """

    job: int
    model: ModelRequest
    volume: VolumeFile
    options: SegmentOptions
    corrections: CorrectedSlices | None
    labels: str
    cleaned: str
    confidence: str


@dataclass(frozen=True)
class Preview:
    """Segment the slices ``indices`` of ``volume``, the most wanted first, and send the labels."""

    job: int
    model: ModelRequest
    volume: VolumeFile
    indices: tuple[int, ...]
    borders: str


@dataclass(frozen=True)
class Cancel:
    """Give up all requests made before this one."""


@dataclass(frozen=True)
class Unload:
    """Give the model's memory back."""


@dataclass(frozen=True)
class Quit:
    """End when the requests made before this one are done."""


@dataclass(frozen=True)
class Greeting:
    """The worker's answer to ``Hello``: its own process, not that of a launcher before it."""

    version: int
    pid: int


@dataclass(frozen=True)
class Alive:
    """A sign of life, about once a second."""


@dataclass(frozen=True)
class ModelReady:
    """The answer to ``Load``."""

    job: int
    card: ModelCard
    device: str


@dataclass(frozen=True)
class SegmentStarted:
    """The model is ready, and so are the files for labels and confidence, all zero.

    Both are on the volume's grid.
    """

    job: int
    card: ModelCard
    device: str


@dataclass(frozen=True)
class SegmentFinished:
    """All labels are in; ``cleaned``: a clean-up changed some, and its result is in that file.

    ``seconds`` is what the worker needed, from the request to here. ``doubt`` is None unless the
    options ask for confidence.
    """

    job: int
    cleaned: bool
    device: str
    seconds: float
    doubt: Doubt | None = None


@dataclass(frozen=True)
class Refused:
    """A line was no message of this protocol, or came at the wrong time; nothing was done."""

    error: GDLAError


@dataclass(frozen=True)
class Leaving:
    """The worker has been idle for long enough and ends; it reads nothing any more."""


Command = Hello | Load | Segment | Preview | Cancel | Unload | Quit
Report = (
    Greeting
    | Alive
    | ModelReady
    | SegmentStarted
    | SlicesDone
    | Phase
    | Warned
    | SegmentFinished
    | Previewed
    | PreviewDone
    | Stopped
    | Failed
    | Refused
    | Leaving
)


def _with_full_path(server: RemoteServer | None) -> RemoteServer | None:
    if server is None or server.ca_file is None:
        return server
    return replace(server, ca_file=os.path.abspath(server.ca_file))


def _full_path(name: str) -> str:
    path = Path(name)
    return os.path.abspath(path) if path.suffix or path.name != str(path) else str(path)
