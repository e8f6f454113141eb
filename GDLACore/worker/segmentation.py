"""What the worker does for a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from GDLACore.engine import Engine
from GDLACore.engine.protocol import label_type
from GDLACore.errors import Cancelled, EngineError, GDLAError, WorkerError
from GDLACore.imaging.components import keep_largest_components
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.pipeline import Progress, segment
from GDLACore.worker.array_file import map_array, write_array, write_zeros
from GDLACore.worker.events import Failed, Phase, SlicesDone, Stopped, Warned
from GDLACore.worker.inbox import Task
from GDLACore.worker.messages import (
    Load,
    ModelReady,
    ModelRequest,
    Report,
    Segment,
    SegmentFinished,
    SegmentStarted,
    VolumeFile,
)
from GDLACore.worker.warm_model import WarmModel

Send = Callable[[Report], None]

_log = logging.getLogger(__name__)


def run(task: Task[Load | Segment], model: WarmModel, send: Send) -> None:
    """Carry ``task`` out; whatever happens, ``send`` is told in the end."""
    command = task.item
    try:
        with _warnings_sent(command.job, send):
            _check(task)
            if isinstance(command, Load):
                last: Report = _load(task, command, model, send)
            else:
                last = _segment(task, command, model, send)
    except Cancelled:
        last = Stopped(command.job)
    except Exception as error:
        # The process may live on in spite of it, and the model stay warm.
        last = Failed(command.job, _as_shown(error))
    send(last)


def _load(task: Task, command: Load, model: WarmModel, send: Send) -> ModelReady:
    engine = _loaded(task, command.job, command.model, model, send)
    engine.warm_up()
    _check(task)
    return ModelReady(command.job, engine.card, engine.describe())


def _segment(task: Task, command: Segment, model: WarmModel, send: Send) -> SegmentFinished:
    begin = time.perf_counter()
    engine = _loaded(task, command.job, command.model, model, send)
    volume = _volume(command.volume)
    slices = segment(volume, engine, command.options)
    labels = write_zeros(Path(command.labels), label_type(engine.card), volume.shape)
    _check(task)
    send(SegmentStarted(command.job, engine.card, engine.describe()))
    _put_slices(task, slices, labels, send)
    cleaned = False
    if command.options.largest_component:
        cleaned = _clean(task, labels, engine.card, send)
    seconds = time.perf_counter() - begin
    return SegmentFinished(command.job, cleaned, engine.describe(), seconds)


def _loaded(task: Task, job: int, request: ModelRequest, model: WarmModel, send: Send) -> Engine:
    if model.is_ready(request):
        return model.engine(request)
    send(Phase(job, "loading", 0, 1))
    engine = model.engine(request)
    send(Phase(job, "loading", 1, 1))
    _check(task)
    return engine


def _put_slices(task: Task, slices: Iterator[object], labels: np.ndarray, send: Send) -> None:
    finished = None
    with closing(slices):
        for event in slices:
            if not isinstance(event, Progress):
                event.view.put(labels, event.indices, event.labels)
                finished = event
                continue
            axis = finished.view.axes[0]
            send(SlicesDone(task.item.job, axis, finished.indices, event.done, event.total))
            if event.done < event.total:
                _check(task)


def _clean(task: Task, labels: np.ndarray, card: ModelCard, send: Send) -> bool:
    """Write what remains of the labels if only the largest part of each structure is kept.

    Into a file of its own: whoever shows the labels must be able to tell what has changed. Returns
    False, with no file, if nothing has.
    """
    structures = len(card.labels)
    cleaned = np.array(labels)
    send(Phase(task.item.job, "cleaning", 0, structures))
    for done in keep_largest_components(cleaned, structures):
        send(Phase(task.item.job, "cleaning", done, structures))
        _check(task)
    if np.array_equal(cleaned, labels):
        return False
    write_array(Path(task.item.cleaned), cleaned)
    return True


def _volume(file: VolumeFile) -> Volume:
    matrix = np.reshape(file.ijk_to_ras, (4, 4))
    return Volume(map_array(Path(file.array)), matrix, file.name, file.modality)


def _check(task: Task) -> None:
    if task.cancelled:
        raise Cancelled("The segmentation was cancelled.")


def _as_shown(error: Exception) -> GDLAError:
    if isinstance(error, GDLAError):
        return error
    if isinstance(error, MemoryError):
        return EngineError(
            "There is not enough memory.", "Close other programs, or choose fewer slices."
        )
    _log.error("An unexpected error", exc_info=error)
    return WorkerError(
        f"The background process met an unexpected {type(error).__name__}: {error}.",
        "Report this with the log.",
    )


@contextmanager
def _warnings_sent(job: int, send: Send) -> Iterator[None]:
    """Have the package's warnings sent as messages."""
    handler = _Sender(job, send)
    logger = logging.getLogger("GDLACore")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Sender(logging.Handler):
    def __init__(self, job: int, send: Send) -> None:
        super().__init__(logging.WARNING)
        self._job = job
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(Warned(self._job, record.getMessage()))
