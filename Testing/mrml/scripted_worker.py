"""A worker client that needs no process and no model: tests say what it finds and when.

It has the face of ``GDLACore.worker.WorkerClient``. Every ``poll()`` releases one step of the job:
first that it has started, then one batch of slices each, then the clean-up, and the end; or of the
preview: one slice, and with the last of them the end. So a test decides what happens between two
batches without waiting for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from GDLACore.engine.protocol import label_type
from GDLACore.errors import GDLAError, VolumeError
from GDLACore.imaging.components import keep_largest_components
from GDLACore.imaging.suitability import check_volume
from GDLACore.imaging.view import check_slices, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Doubt,
    Event,
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    Warned,
)

DEVICE = "scripted"


@dataclass(frozen=True, eq=False)
class PreviewRequest:
    """What a test finds of a preview that was asked for."""

    job: int
    volume: Volume
    model: ModelRequest
    indices: tuple[int, ...]
    borders: str
    key: Hashable


class ScriptedWorker:
    """``labels`` maps a volume to its label map [k, j, i]; ``card`` is every model's card.

    ``batch`` slices finish per poll unless the options ask for another number. ``confidence`` maps
    a volume to the confidence [k, j, i] in it, by default 1 everywhere; a slice's doubt is the sum
    of what is missing to 1. ``requests`` are the volume, model and options of every job so far,
    ``keys`` and ``corrections`` what else was said of each, ``previews`` the previews asked for,
    ``unloads`` how often memory was asked back, and ``forgotten`` how often files. As with the real
    client, a second job while one runs, a preview while a job or another one is, and a request
    after ``close()`` are ValueErrors; and the label map of a job turns to 255 everywhere, its
    confidence to 0, when the real one's would be gone.
    """

    def __init__(
        self,
        labels: Callable[[Volume], np.ndarray],
        card: ModelCard,
        *,
        batch: int = 2,
        confidence: Callable[[Volume], np.ndarray] = lambda volume: np.ones(volume.shape),
    ) -> None:
        self._find, self._card, self._batch = labels, card, batch
        self._find_confidence = confidence
        self.requests: list[tuple[Volume, ModelRequest, SegmentOptions]] = []
        self.keys: list[Hashable] = []
        self.corrections: list[dict[int, np.ndarray] | None] = []
        self.previews: list[PreviewRequest] = []
        self.unloads = 0
        self.forgotten = 0
        self._steps: Iterator[list[Event]] | None = None
        self._due: list[Event] = []
        self._preview: Iterator[list[Event]] | None = None
        self._labels: np.ndarray | None = None
        self._confidence: np.ndarray | None = None
        self._error: GDLAError | None = None
        self._job = 0
        self._closed = False

    # What tests say

    def warn(self, message: str) -> None:
        """Let the next poll report a warning of the running job or preview."""
        assert self.busy or self.previewing, "only a running job or preview warns"
        self._due.append(Warned(self._job, message))

    def fail(self, error: GDLAError) -> None:
        """Let the running job or preview, or else the next request, end with ``error``."""
        self._error = error

    # What the logic uses

    @property
    def busy(self) -> bool:
        return self._steps is not None

    @property
    def previewing(self) -> bool:
        return self._preview is not None

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

    def forget(self) -> None:
        self.forgotten += 1

    def preview(
        self,
        volume: Volume,
        model: ModelRequest,
        indices: Sequence[int],
        borders: str,
        *,
        key: Hashable,
    ) -> int:
        self._require_open()
        if self.busy:
            raise ValueError("a job is running")
        if self.previewing:
            raise ValueError("a preview is outstanding")
        if not indices:
            raise ValueError("no slice is wanted")
        self._job += 1
        request = PreviewRequest(self._job, volume, model, tuple(indices), borders, key)
        self.previews.append(request)
        self._preview = self._show(request)
        return self._job

    def segment(
        self,
        volume: Volume,
        model: ModelRequest,
        options: SegmentOptions,
        *,
        key: Hashable = None,
        corrections: Mapping[int, np.ndarray] | None = None,
    ) -> int:
        self._require_open()
        if self.busy:
            raise ValueError("a job is running")
        self._stop_preview()
        self._forget_labels()
        self._job += 1
        self.requests.append((volume, model, options))
        self.keys.append(key)
        self.corrections.append(None if corrections is None else dict(corrections))
        self._steps = self._run(volume, options)
        return self._job

    def withdraw(self) -> None:
        self._stop_preview()

    def cancel(self) -> None:
        self._due = [Stopped(None) if isinstance(event, Loaded) else event for event in self._due]
        self._stop_preview()
        if self.busy:
            self._steps = iter([[Stopped(self._job)]])

    def poll(self) -> list[Event]:
        events, self._due = self._due, []
        if self._preview is not None:
            failure = self._failure(self.previews[-1].job)
            events += [failure] if failure else next(self._preview)
            if isinstance(events[-1], (PreviewDone, Failed)):
                self._preview = None
        if self._steps is not None:
            failure = self._failure(self._job)
            events += [failure] if failure else next(self._steps)
            if isinstance(events[-1], (Finished, Stopped, Failed)):
                self._steps = None
        return events

    def close(self) -> None:
        self._forget_labels()
        self._steps, self._preview, self._closed = None, None, True
        self._due.clear()

    # The preview

    def _show(self, request: PreviewRequest) -> Iterator[list[Event]]:
        volume = request.volume
        try:
            check_volume(volume, self._card)
            view = slice_view(volume, self._card.slice_axis, self._card.view)
            for index in request.indices:
                check_slices(range(index, index + 1), view.count, volume.name)
        except GDLAError as error:
            yield [Failed(request.job, error)]
            return
        axis, found = view.axes[0], self._find(volume)
        for number, index in enumerate(request.indices, 1):
            labels = found.take(index, axis).astype(label_type(self._card))
            labels.flags.writeable = False
            done = [PreviewDone(request.job)] if number == len(request.indices) else []
            yield [Previewed(request.job, axis, index, labels), *done]

    def _stop_preview(self) -> None:
        if self._preview is not None:
            self._preview = None
            self._due.append(Stopped(self.previews[-1].job))

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
        confidence = self._new_confidence(volume) if options.confidence else None
        yield [Started(self._job, self._card, DEVICE, visible, confidence)]
        size, done = options.batch_size or self._batch, 0
        while done < len(order):
            batch = sorted(order[done : done + size])
            whole = (slice(None),) * axis
            labels[(*whole, batch)] = found[(*whole, batch)]
            if options.confidence:
                sure = self._find_confidence(volume)
                self._confidence[(*whole, batch)] = sure[(*whole, batch)]
            done += len(batch)
            yield [SlicesDone(self._job, axis, tuple(batch), done, len(order))]
        cleaned = None
        if options.largest_component:
            cleaned = self._cleaned(labels)
            structures = len(self._card.labels)
            yield [Phase(self._job, "cleaning", n, structures) for n in range(1, structures + 1)]
        doubt = self._doubt(axis, sorted(order)) if options.confidence else None
        yield [Finished(self._job, cleaned, DEVICE, 0.25, doubt)]

    def _new_confidence(self, volume: Volume) -> np.ndarray:
        self._confidence = np.zeros(volume.shape, np.float16)
        visible = self._confidence.view()
        visible.flags.writeable = False
        return visible

    def _doubt(self, axis: int, indices: list[int]) -> Doubt:
        missing = (1 - self._confidence.astype(np.float64)).sum(
            axis=tuple(other for other in range(3) if other != axis)
        )
        return Doubt(tuple(indices), tuple(missing[indices].tolist()))

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
        if self._confidence is not None:
            self._confidence[:] = 0

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the client is closed")
