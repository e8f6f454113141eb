"""A worker client that needs no process and no model: tests say what it finds and when.

It has the face of ``GDLACore.worker.WorkerClient``. Every ``poll()`` releases one step of the job:
first that it has started, then one batch of slices each, then the clean-up, and the end. So a test
decides what happens between two batches without waiting for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from GDLACore.engine.protocol import label_type
from GDLACore.errors import GDLAError, VolumeError
from GDLACore.imaging.components import keep_largest_components
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import check_volume
from GDLACore.worker import (
    Event,
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    Phase,
    SlicesDone,
    Started,
    Stopped,
    Warned,
)

DEVICE = "scripted"


class ScriptedWorker:
    """``labels`` maps a volume to its label map [k, j, i]; ``card`` is every model's card.

    ``batch`` slices finish per poll unless the options ask for another number. ``requests`` are the
    volume, model and options of every job so far, ``unloads`` how often memory was asked back. As
    with the real client, a second job while one runs and a request after ``close()`` are
    ValueErrors; and the label map of a job turns to 255 everywhere when the real one's would be
    gone.
    """

    def __init__(
        self, labels: Callable[[Volume], np.ndarray], card: ModelCard, *, batch: int = 2
    ) -> None:
        self._find, self._card, self._batch = labels, card, batch
        self.requests: list[tuple[Volume, ModelRequest, SegmentOptions]] = []
        self.unloads = 0
        self._steps: Iterator[list[Event]] | None = None
        self._due: list[Event] = []
        self._labels: np.ndarray | None = None
        self._error: GDLAError | None = None
        self._job = 0
        self._closed = False

    # What tests say

    def warn(self, message: str) -> None:
        """Let the next poll report a warning of the running job."""
        assert self.busy, "only a running job warns"
        self._due.append(Warned(self._job, message))

    def fail(self, error: GDLAError) -> None:
        """Let the running job, or else the next ``load()`` or job, end with ``error``."""
        self._error = error

    # What the logic uses

    @property
    def busy(self) -> bool:
        return self._steps is not None

    @property
    def pid(self) -> int | None:
        return None

    def log(self) -> str:
        return ""

    def start(self) -> None:
        self._require_open()

    def load(self, model: ModelRequest) -> None:
        self._require_open()
        self._due.append(self._failure(None) or Loaded(self._card, DEVICE))

    def unload(self) -> None:
        self.unloads += 1

    def segment(self, volume: Volume, model: ModelRequest, options: SegmentOptions) -> int:
        self._require_open()
        if self.busy:
            raise ValueError("a job is running")
        self._forget_labels()
        self._job += 1
        self.requests.append((volume, model, options))
        self._steps = self._run(volume, options)
        return self._job

    def cancel(self) -> None:
        self._due = [Stopped(None) if isinstance(event, Loaded) else event for event in self._due]
        if self.busy:
            self._steps = iter([[Stopped(self._job)]])

    def poll(self) -> list[Event]:
        events, self._due = self._due, []
        if self._steps is not None:
            failure = self._failure(self._job)
            events += [failure] if failure else next(self._steps)
            if isinstance(events[-1], (Finished, Stopped, Failed)):
                self._steps = None
        return events

    def close(self) -> None:
        self._forget_labels()
        self._steps, self._closed = None, True
        self._due.clear()

    # The job

    def _run(self, volume: Volume, options: SegmentOptions) -> Iterator[list[Event]]:
        yield [Phase(self._job, "writing", 1, 1), Phase(self._job, "loading", 1, 1)]
        try:
            check_volume(volume, self._card)
            axis, order = self._order(volume, options)
        except GDLAError as error:
            yield [Failed(self._job, error)]
            return
        found = self._find(volume)
        assert found.shape == volume.shape, f"{found.shape} labels for a volume of {volume.shape}"
        self._labels = labels = np.zeros(volume.shape, label_type(self._card))
        visible = labels.view()
        visible.flags.writeable = False
        yield [Started(self._job, self._card, DEVICE, visible)]
        size, done = options.batch_size or self._batch, 0
        while done < len(order):
            batch = sorted(order[done : done + size])
            whole = (slice(None),) * axis
            labels[(*whole, batch)] = found[(*whole, batch)]
            done += len(batch)
            yield [SlicesDone(self._job, axis, tuple(batch), done, len(order))]
        cleaned = None
        if options.largest_component:
            cleaned = self._cleaned(labels)
            structures = len(self._card.labels)
            yield [Phase(self._job, "cleaning", n, structures) for n in range(1, structures + 1)]
        yield [Finished(self._job, cleaned, DEVICE, 0.25)]

    def _order(self, volume: Volume, options: SegmentOptions) -> tuple[int, list[int]]:
        view = slice_view(volume, self._card.slice_axis, self._card.view)
        wanted = range(view.count) if options.slices is None else options.slices
        if not wanted or min(wanted) < 0 or max(wanted) >= view.count:
            raise VolumeError(f"{volume.name} has {view.count} slices, not {wanted}.")
        focus = wanted[0] if options.focus_slice is None else options.focus_slice
        return view.axes[0], sorted(wanted, key=lambda index: abs(index - focus))

    def _cleaned(self, labels: np.ndarray) -> np.ndarray | None:
        cleaned = labels.copy()
        for _ in keep_largest_components(cleaned, len(self._card.labels)):
            pass
        return None if np.array_equal(cleaned, labels) else cleaned

    def _failure(self, job: int | None) -> Failed | None:
        error, self._error = self._error, None
        return None if error is None else Failed(job, error)

    def _forget_labels(self) -> None:
        if self._labels is not None:
            self._labels[:] = np.iinfo(np.uint8).max

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the client is closed")
