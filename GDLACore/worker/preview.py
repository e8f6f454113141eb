"""A preview in the worker: single slices, whose labels travel in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np

from GDLACore.engine import Engine
from GDLACore.imaging.view import check_slices
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import PreparedVolume, SliceResult, segment_batches
from GDLACore.worker.events import PreviewDone, Previewed
from GDLACore.worker.inbox import Task
from GDLACore.worker.messages import Preview, Report
from GDLACore.worker.warm_volume import WarmVolume

Send = Callable[[Report], None]


def preview(task: Task[Preview], engine: Engine, volume: WarmVolume, send: Send) -> PreviewDone:
    """Do what ``task`` asks for: nothing but reading and computing its slices.

    Raises Cancelled, or what ``prepare`` and ``segment_batches`` raise; VolumeError, before any
    slice is computed, if one is none of the volume's.
    """
    command = task.item
    prepared = volume.prepared(command.volume, engine.card)
    for index in command.indices:
        check_slices(range(index, index + 1), prepared.count, prepared.volume.name)
    axis = prepared.view.axes[0]
    options = SegmentOptions(borders=command.borders)
    with closing(segment_batches(prepared, engine, _batches(task, engine), options)) as results:
        for result in results:
            if result is None:
                task.stop_if_cancelled()
                continue
            for index, labels in zip(result.indices, _as_stored(result, prepared), strict=True):
                send(Previewed(command.job, axis, index, labels))
    return PreviewDone(command.job)


def _batches(task: Task[Preview], engine: Engine) -> Iterator[tuple[int, ...]]:
    """Yield as many slices as are computed at a time: the most wanted do not wait for the others.

    Raises Cancelled, before the next, if nobody wants them any more.
    """
    indices, begun = task.item.indices, 0
    while begun < len(indices):
        task.stop_if_cancelled()
        batch = indices[begun : begun + engine.batch_size]
        begun += len(batch)
        yield batch


def _as_stored(result: SliceResult, prepared: PreparedVolume) -> Iterator[np.ndarray]:
    """Yield the labels of each slice as ``take`` of labels [k, j, i] gives them."""
    axis = prepared.view.axes[0]
    shape = list(prepared.volume.shape)
    shape[axis] = 1
    for labels in result.labels:
        slab = np.empty(shape, labels.dtype)
        prepared.view.put(slab, slice(None), labels[np.newaxis])
        stored = slab.squeeze(axis)
        stored.flags.writeable = False
        yield stored
