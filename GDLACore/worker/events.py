"""What a client of the worker hears, in the order in which it happens.

``job`` is the number that ``WorkerClient.segment`` or ``preview`` returned; None where it is about
a model that is being loaded, or about the worker itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from GDLACore.errors import GDLAError
from GDLACore.model.card import ModelCard


@dataclass(frozen=True)
class Loaded:
    """The model asked for last is ready; ``device`` says in words what it runs on, and why."""

    card: ModelCard
    device: str


@dataclass(frozen=True, eq=False)
class Started:
    """The slices are being segmented.

    ``labels`` [k, j, i] on the volume's grid, read-only, uint8 or uint16, are zero so far and
    change as slices are done. They last until the next job begins or the client is closed, though
    their file may be gone before.
    ``confidence``, float16, is likewise (see ``Engine.predict_with_confidence``); None if it was
    not asked for.
    """

    job: int
    card: ModelCard
    device: str
    labels: np.ndarray = field(repr=False)
    confidence: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SlicesDone:
    """The labels of the slices ``indices`` along array axis ``axis`` (0 = k, 1 = j, 2 = i) are in.

    ``done`` of ``total`` slices are. They are final but for what ``Finished`` says.
    """

    job: int
    axis: int
    indices: tuple[int, ...]
    done: int
    total: int


@dataclass(frozen=True)
class Phase:
    """``done`` of ``total`` steps of "writing" the volume, "loading" a model or "cleaning"."""

    job: int | None
    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Warned:
    """Something the user should know about the result or the device."""

    job: int | None
    message: str


@dataclass(frozen=True)
class Doubt:
    """How much there is to doubt in the slices ``indices``: ``values`` of ``slice_doubt``."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Finished:
    """All labels are in.

    ``cleaned`` are the labels after the clean-up, as ``Started.labels`` in all else; None if it was
    not asked for or changed nothing. ``seconds`` is what the worker needed, from the request on.
    ``doubt`` is about the slices that were asked for; None without the option ``confidence``.
    """

    job: int
    cleaned: np.ndarray | None = field(repr=False)
    device: str
    seconds: float
    doubt: Doubt | None = None


@dataclass(frozen=True, eq=False)
class Previewed:
    """The slice ``index`` along array axis ``axis`` (0 = k, 1 = j, 2 = i) has these ``labels``.

    They are ``take(index, axis)`` of labels [k, j, i]: two-dimensional, as the volume is stored,
    not as the network saw them; uint8 or uint16, read-only.
    """

    job: int
    axis: int
    index: int
    labels: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PreviewDone:
    """All slices that ``WorkerClient.preview`` was asked for have come."""

    job: int


@dataclass(frozen=True)
class Stopped:
    """What was going on was cancelled; the labels of the slices that were done remain."""

    job: int | None


@dataclass(frozen=True)
class Failed:
    """What was going on has ended in ``error``; the next request works or says why not."""

    job: int | None
    error: GDLAError


Event = (
    Loaded
    | Started
    | SlicesDone
    | Phase
    | Warned
    | Finished
    | Previewed
    | PreviewDone
    | Stopped
    | Failed
)
