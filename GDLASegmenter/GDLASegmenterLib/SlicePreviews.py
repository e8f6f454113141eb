"""Labels of single slices, asked of the worker while the user looks around in a volume."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from GDLACore.errors import Cancelled, GDLAError, ServerError, VolumeError
from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLACore.worker import Failed, Finished, ModelRequest, PreviewDone, Previewed, Stopped, Warned
from GDLASegmenterLib.LabelCache import LabelCache
from GDLASegmenterLib.VolumeGrid import VolumeGrid, volumeGrid
from GDLASegmenterLib.VolumeInput import VolumeState, readVolume, volumeState

_AHEAD = 4  # slices that are computed in advance
_SCROLLED = 2  # slices: who went further has jumped, and no next slice is known
_PATIENCE_S = 2  # a slice that a server is asked for longer than that is said to be waited for


@dataclass(frozen=True, eq=False)
class SlicePreview:
    """What a model finds in the stored slice ``index`` along array axis ``axis`` of a volume.

    ``labels`` are the card's, two-dimensional as in ``array.take(index, axis)`` of [k, j, i], and
    read-only.
    """

    grid: VolumeGrid
    card: ModelCard
    axis: int
    index: int
    labels: np.ndarray


@dataclass(frozen=True)
class _Source:
    """What the labels of all slices depend on."""

    volumeID: str
    state: VolumeState
    model: ModelRequest
    modelFile: tuple[int, ...] | None
    card: ModelCard
    borders: str


@dataclass(frozen=True, eq=False)
class _Wanted:
    """One slice that somebody waits for; the volume by its ID, to outlive nothing."""

    scene: object
    volumeID: str
    volumeName: str
    model: ModelRequest
    card: ModelCard
    borders: str
    index: int
    onLabels: Callable[[SlicePreview], None]
    onError: Callable[[GDLAError], None]

    @property
    def volumeNode(self):
        """The node; raises VolumeError if it is not in the scene any more."""
        node = self.scene.GetNodeByID(self.volumeID)
        if node is None:
            raise VolumeError(f"{self.volumeName} is not in the scene any more.")
        return node

    @property
    def source(self) -> _Source:
        state, file = volumeState(self.volumeNode), modelFileState(self.model)
        return _Source(self.volumeID, state, self.model, file, self.card, self.borders)

    def preview(self, axis: int, labels: np.ndarray) -> SlicePreview:
        return SlicePreview(volumeGrid(self.volumeNode), self.card, axis, self.index, labels)


class SlicePreviews:
    """Has ``worker`` find the labels of the slices that are wanted, the one wanted last first.

    Each ``onLabels`` stands for somebody who wants one slice at a time: a new want takes the place
    of the one before. One slice is under way at any time: two would be done in twice the time, also
    on two cores, and the user would wait for both. It is given up once nobody wants slices of
    its model any more, for a server may not answer. While nobody waits, the slices that follow in
    the direction of scrolling are found in advance. What is known already is answered at once. Give
    it all events of the worker with ``receive``, and call ``update`` after them.

    ``warnings`` are for the user to read, about the volume and the model that were asked for last.
    """

    def __init__(self, worker) -> None:
        self.warnings: list[str] = []
        self._worker = worker
        self._wanted: dict[Callable, _Wanted] = {}  # the newest last
        self._last: _Wanted | None = None
        self._direction = 0
        self._isClosed = False
        self._job: int | None = None
        self._asked: _Source | None = None
        self._askedAt = 0.0
        self._cache = LabelCache()

    @property
    def isWaiting(self) -> bool:
        """Whether the worker is at it, or will be at the next ``update``."""
        return self._job is not None or (bool(self._wanted) and not self._worker.busy)

    @property
    def waiting(self) -> str:
        """Which server somebody is waiting for, if that takes longer than usual, else ""."""
        server = None if self._job is None else self._asked.model.server
        if server is None or not self._wanted or time.monotonic() < self._askedAt + _PATIENCE_S:
            return ""
        return f"Waiting for {server.host}…"

    def want(
        self,
        volumeNode,
        model: ModelRequest,
        card: ModelCard,
        borders: str,
        index: int,
        onLabels: Callable[[SlicePreview], None],
        onError: Callable[[GDLAError], None],
    ) -> None:
        """Have ``onLabels`` called with the slice ``index`` of ``volumeNode``, or ``onError``.

        ``index`` counts the stored slices along the axis that ``card``'s model slices. If they are
        known, ``onLabels`` is called before this returns. While a segmentation is being made, the
        slice waits for its end. Of a volume that changes meanwhile, the slice as it is then is
        meant. Raises VolumeError if the volume cannot be segmented or has no such slice, and
        Cancelled after ``close``.
        """
        if self._isClosed:
            raise Cancelled("The module was closed: no slice is segmented any more.")
        wanted = _Wanted(
            *(volumeNode.GetScene(), volumeNode.GetID(), volumeNode.GetName()),
            *(model, card, borders, index, onLabels, onError),
        )
        axis, count = _slicesOf(wanted)
        _checkIndex(wanted, count)
        self._direction = self._directionTo(wanted)
        self._last = wanted
        self._wanted.pop(onLabels, None)
        labels = self._cache.find(wanted.source, index)
        if labels is None:
            self._wanted[onLabels] = wanted
        else:
            onLabels(wanted.preview(axis, labels))
        self._ask()

    def drop(self, onLabels: Callable[[SlicePreview], None]) -> None:
        """Forget what was wanted for ``onLabels``, which is not called any more."""
        self._wanted.pop(onLabels, None)
        if self._last is not None and self._last.onLabels == onLabels:
            self._last = None

    def cancel(self) -> None:
        """Forget everything that was wanted, which ``onError`` is told, and what is known."""
        waiting, self._wanted = list(self._wanted.values()), {}
        self._last = None
        self._cache = LabelCache()
        for wanted in waiting:
            wanted.onError(Cancelled(f"Slice {wanted.index} is not being segmented any more."))

    def close(self) -> None:
        """Cancel, and refuse to be asked again: the worker is about to be closed."""
        self._isClosed = True
        self.cancel()

    def receive(self, event) -> None:
        """Heed ``event`` of the worker, if it is about this, or about a server's failure."""
        if isinstance(event, Failed) and isinstance(event.error, ServerError):
            self._cache = LabelCache()  # the next one there may have another version of the model
        elif isinstance(event, Finished):
            self.warnings = []  # a segmentation has told them, and may have been to the server
        if self._job is None or getattr(event, "job", None) != self._job:
            return
        if isinstance(event, Previewed):
            event.labels.flags.writeable = False
            self._cache.keep(self._asked, event.index, event.labels)
            self._answer(event.axis)
        elif isinstance(event, Warned) and event.message not in self.warnings:
            self.warnings.append(event.message)
        elif isinstance(event, (PreviewDone, Stopped)):
            self._job = None
        elif isinstance(event, Failed):
            self._job = self._last = None
            waiting, self._wanted = list(self._wanted.values()), {}
            for wanted in waiting:
                wanted.onError(event.error)

    def update(self) -> None:
        """Ask for what had to wait for the worker."""
        if self._job is not None and not self._worker.previewing:
            self._job = None  # the worker was closed, and says nothing about it any more
        self._ask()

    def _answer(self, axis: int) -> None:
        """Hand over what is known by now."""
        for wanted in list(self._wanted.values()):
            try:
                labels = self._cache.find(wanted.source, wanted.index)
                preview = None if labels is None else wanted.preview(axis, labels)
            except VolumeError as error:
                self._refuse(wanted, error)
                continue
            if preview is not None and self._wanted.get(wanted.onLabels) is wanted:
                del self._wanted[wanted.onLabels]
                wanted.onLabels(preview)

    def _ask(self) -> None:
        """Ask for the slice that is wanted most, or in advance for one that may be wanted next."""
        while True:
            wanted = next(reversed(self._wanted.values()), self._last)
            if self._job is not None and (wanted is None or wanted.model != self._asked.model):
                self._job = None
                self._worker.withdraw()
            isBusy = self._job is not None or self._worker.busy or self._worker.previewing
            if wanted is None or isBusy:
                return
            try:
                index = self._unknown(wanted)
                if index is not None:
                    self._send(wanted, index)
                return
            except VolumeError as error:
                self._refuse(wanted, error)

    def _send(self, wanted: _Wanted, index: int) -> None:
        previous, self._asked = self._asked, wanted.source
        if previous is None or _warnedOf(previous) != _warnedOf(self._asked):
            self.warnings = []
        self._askedAt = time.monotonic()
        self._job = self._worker.preview(
            readVolume(wanted.volumeNode),
            *(wanted.model, [index], wanted.borders),
            key=(wanted.volumeID, self._asked.state),
        )

    def _unknown(self, wanted: _Wanted) -> int | None:
        """Return the slice that is wanted, or if that is known the next one after it that is not.

        None if enough of them are known.
        """
        _, count = _slicesOf(wanted)
        if wanted.onLabels in self._wanted:
            _checkIndex(wanted, count)
            return wanted.index
        source = wanted.source
        ahead = (wanted.index + step * self._direction for step in range(_AHEAD + 1))
        for index in ahead:
            if 0 <= index < count and self._cache.find(source, index) is None:
                return index
        return None

    def _directionTo(self, wanted: _Wanted) -> int:
        last = self._last
        if last is None or (last.volumeID, last.model) != (wanted.volumeID, wanted.model):
            return 0
        step = wanted.index - last.index
        if step == 0:
            return self._direction
        return int(np.sign(step)) if abs(step) <= _SCROLLED else 0

    def _refuse(self, wanted: _Wanted, error: GDLAError) -> None:
        if wanted is self._last:
            self._last = None
        if self._wanted.pop(wanted.onLabels, None) is not None:
            wanted.onError(error)


def modelFileState(model: ModelRequest) -> tuple[int, ...] | None:
    """Return what is another one if the file of ``model`` is replaced; None if it has no file."""
    try:
        status = Path(model.model).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _warnedOf(source: _Source) -> tuple:
    return source.volumeID, source.state, source.model, source.modelFile


def _slicesOf(wanted: _Wanted) -> tuple[int, int]:
    """Return along which array axis the model slices the volume, and how many slices there are."""
    view = slice_view(readVolume(wanted.volumeNode), wanted.card.slice_axis, wanted.card.view)
    return view.axes[0], view.count


def _checkIndex(wanted: _Wanted, count: int) -> None:
    if not 0 <= wanted.index < count:
        raise VolumeError(f"{wanted.volumeName} has no slice {wanted.index} of {count}.")
