"""What the worker does about a request, whatever comes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from GDLACore.engine import Engine
from GDLACore.errors import Cancelled, EngineError, GDLAError, ServerError, WorkerError
from GDLACore.worker.events import Failed, Phase, Stopped, Warned
from GDLACore.worker.inbox import Task
from GDLACore.worker.messages import Load, ModelReady, Preview, Report, Segment
from GDLACore.worker.patience import awaited
from GDLACore.worker.preview import preview
from GDLACore.worker.segmentation import segment
from GDLACore.worker.warm_model import WarmModel
from GDLACore.worker.warm_volume import WarmVolume
from GDLACore.worker.warning_messages import warnings_told

Send = Callable[[Report], None]

_log = logging.getLogger(__name__)


def run(
    task: Task[Load | Segment | Preview], model: WarmModel, volume: WarmVolume, send: Send
) -> None:
    """Carry ``task`` out; whatever happens, ``send`` is told in the end."""
    job = task.item.job
    try:
        with warnings_told(lambda message: send(Warned(job, message))):
            last = _done(task, model, volume, send)
    except Cancelled:
        last = Stopped(job)
    except ServerError as error:
        model.close()  # it may know of a version that the server has no more
        last = Failed(job, error)
    except Exception as error:
        # The process may live on in spite of it, and the model stay warm.
        last = Failed(job, _as_shown(error))
    send(last)


def _done(
    task: Task[Load | Segment | Preview], model: WarmModel, volume: WarmVolume, send: Send
) -> Report:
    begin = time.perf_counter()
    task.stop_if_cancelled()
    if isinstance(task.item, Segment):
        model.end_fall_back()
        engine = _loaded(task, model, send)
        while model.untold:
            send(Warned(task.item.job, model.untold.pop(0)))
        return segment(task, engine, volume, send, begin)
    if isinstance(task.item, Preview) and (warning := model.fall_back(task.item.model)):
        send(Warned(task.item.job, warning))
    # A segmentation's user has not read what was said before.
    with (
        warnings_told(model.keep, "GDLACore.engine"),
        warnings_told(model.keep, "GDLACore.remote"),
    ):
        engine = _loaded(task, model, send)
        if isinstance(task.item, Preview):
            return preview(task, engine, volume, send)
        if engine.in_flight > 1:
            awaited(engine.warm_up, task.stop_if_cancelled)
        else:
            engine.warm_up()
        task.stop_if_cancelled()
        return ModelReady(task.item.job, engine.card, engine.describe())


def _loaded(task: Task[Load | Segment | Preview], model: WarmModel, send: Send) -> Engine:
    job, request = task.item.job, task.item.model
    if model.is_ready(request):
        return model.engine(request, task.stop_if_cancelled)
    send(Phase(job, "loading", 0, 1))
    engine = model.engine(request, task.stop_if_cancelled)
    send(Phase(job, "loading", 1, 1))
    task.stop_if_cancelled()
    return engine


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
