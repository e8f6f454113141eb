"""A preview in the worker: single slices, whose labels travel in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from GDLACore.engine import Engine
from GDLACore.imaging.view import check_slices
from GDLACore.pipeline import PreparedVolume, SliceResult, segment_slices
from GDLACore.worker.events import PreviewDone, Previewed
from GDLACore.worker.inbox import Task
from GDLACore.worker.messages import Preview, Report
from GDLACore.worker.warm_volume import WarmVolume

Send = Callable[[Report], None]


def preview(task: Task[Preview], engine: Engine, volume: WarmVolume, send: Send) -> PreviewDone:
    """Do what ``task`` asks for: nothing but reading and computing its slices.

    Raises Cancelled, or what ``prepare`` and ``segment_slices`` raise; VolumeError, before any
    slice is computed, if one is none of the volume's.
    """
    command = task.item
    prepared = volume.prepared(command.volume, engine.card)
    for index in command.indices:
        check_slices(range(index, index + 1), prepared.count, prepared.volume.name)
    done = 0
    while done < len(command.indices):
        task.stop_if_cancelled()
        # As many as are computed at a time, so that the most wanted do not wait for the others.
        batch = command.indices[done : done + engine.batch_size]
        done += len(batch)
        result = segment_slices(prepared, engine, batch, command.borders)
        axis = prepared.view.axes[0]
        for index, labels in zip(batch, _as_stored(result, prepared), strict=True):
            send(Previewed(command.job, axis, index, labels))
    return PreviewDone(command.job)


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
