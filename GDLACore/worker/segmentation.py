"""A segmentation in the worker: labels and what else was asked for, into files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from GDLACore.engine import Engine
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.components import keep_largest_components
from GDLACore.model.card import ModelCard
from GDLACore.pipeline import PreparedVolume, Progress, SliceResult, segment_prepared
from GDLACore.review.doubt import slice_doubt
from GDLACore.worker.array_file import map_array, write_array, write_zeros
from GDLACore.worker.events import Doubt, Phase, SlicesDone, Warned
from GDLACore.worker.inbox import Task
from GDLACore.worker.messages import Report, Segment, SegmentFinished, SegmentStarted
from GDLACore.worker.warm_volume import WarmVolume

Send = Callable[[Report], None]


def segment(
    task: Task[Segment], engine: Engine, volume: WarmVolume, send: Send, begin: float
) -> SegmentFinished:
    """Do what ``task`` asks for, which began at ``begin`` of ``time.perf_counter``.

    Raises Cancelled, or what ``segment_prepared`` and ``write_zeros`` raise.
    """
    command = task.item
    prepared = _prepared(command, engine, volume, send)
    slices = segment_prepared(prepared, engine, command.options, _corrections(command))
    shape = prepared.volume.shape
    labels = write_zeros(Path(command.labels), label_type(engine.card), shape)
    confidence = None
    if command.options.confidence:
        confidence = write_zeros(Path(command.confidence), np.float16, shape)
    task.stop_if_cancelled()
    send(SegmentStarted(command.job, engine.card, engine.describe()))
    indices = _put_slices(task, slices, labels, confidence, send)
    cleaned = False
    if command.options.largest_component:
        cleaned = _clean(task, labels, engine.card, send)
    doubt = None
    if confidence is not None:
        doubt = _doubt(confidence, prepared.view.axes[0], indices)
    seconds = time.perf_counter() - begin
    return SegmentFinished(command.job, cleaned, engine.describe(), seconds, doubt)


def _prepared(command: Segment, engine: Engine, volume: WarmVolume, send: Send) -> PreparedVolume:
    was_said = volume.is_ready(command.volume, engine.card)
    prepared = volume.prepared(command.volume, engine.card)
    if was_said:  # of another request
        for message in volume.warnings:
            send(Warned(command.job, message))
    return prepared


def _corrections(command: Segment) -> dict[int, np.ndarray]:
    if command.corrections is None:
        return {}
    labels = map_array(Path(command.corrections.array))
    return dict(zip(command.corrections.indices, labels, strict=True))


def _put_slices(
    task: Task[Segment],
    slices: Iterator[Progress | SliceResult],
    labels: np.ndarray,
    confidence: np.ndarray | None,
    send: Send,
) -> list[int]:
    """Write ``slices`` into the files and return which they were, in their stored order."""
    finished: SliceResult | None = None
    indices: list[int] = []
    with closing(slices):
        for event in slices:
            if not isinstance(event, Progress):
                event.view.put(labels, event.indices, event.labels)
                if confidence is not None:
                    event.view.put(confidence, event.indices, event.confidence)
                finished = event
                continue
            if finished is not None:  # or else it is waiting for an engine far away
                indices += finished.indices
                axis = finished.view.axes[0]
                send(SlicesDone(task.item.job, axis, finished.indices, event.done, event.total))
                finished = None
            if event.done < event.total:
                task.stop_if_cancelled()
    return sorted(indices)


def _doubt(confidence: np.ndarray, axis: int, indices: list[int]) -> Doubt:
    # What lies beyond them is not even read: of a large volume, few slices may have been wanted.
    first, last = indices[0], indices[-1]
    part = confidence[(slice(None),) * axis + (slice(first, last + 1),)]
    values = slice_doubt(part, axis, [index - first for index in indices])
    return Doubt(tuple(indices), tuple(values.tolist()))


def _clean(task: Task[Segment], labels: np.ndarray, card: ModelCard, send: Send) -> bool:
    """Write what remains of the labels if only the largest part of each structure is kept.

    Into a file of its own: whoever shows the labels must be able to tell what has changed. Returns
    False, with no file, if nothing has.
    """
    structures = len(card.labels)
    cleaned = np.array(labels)
    send(Phase(task.item.job, "cleaning", 0, structures))
    for done in keep_largest_components(cleaned, structures):
        send(Phase(task.item.job, "cleaning", done, structures))
        task.stop_if_cancelled()
    if np.array_equal(cleaned, labels):
        return False
    write_array(Path(task.item.cleaned), cleaned)
    return True
