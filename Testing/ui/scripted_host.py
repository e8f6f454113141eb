"""A worker of the panel that does as the test tells, in the place of ``WorkerHost``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scripted_worker import ScriptedWorker

from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find
from GDLACore.worker import Event, ModelRequest


class ScriptedHost(ScriptedWorker):
    """What is bright is the model's first structure. ``instances`` are all, in order.

    Of the stored slices, 5 is the most doubtful, then come 10, 3, 8 and 1: see ``doubt_of``.

    One slice is finished at each poll, unless ``hold()`` was called: then only as many steps are
    done as ``let()`` allows. It can be used again after ``close()``, as the real one.
    """

    instances: list[ScriptedHost] = []

    def __init__(self, packages: Callable[[], Path | None]) -> None:
        super().__init__(_bright, find("demo-ct").card, batch=1, confidence=_sure)
        self.loaded: list[ModelRequest] = []
        self.lines = ""
        self._allowed: int | None = None
        ScriptedHost.instances.append(self)

    def hold(self) -> None:
        self._allowed = 0

    def let(self, steps: int) -> None:
        self._allowed = (self._allowed or 0) + steps

    def go_on(self) -> None:
        self._allowed = None

    @property
    def steps_left(self) -> int | None:
        return self._allowed

    def load(self, model: ModelRequest) -> None:
        super().load(model)
        self.loaded.append(model)

    def log(self) -> str:
        return self.lines

    def poll(self) -> list[Event]:
        if self._allowed is not None:
            if self._allowed == 0:
                return []
            self._allowed -= 1
        return super().poll()

    def close(self) -> None:
        super().close()
        self._closed = False


def _bright(volume: Volume) -> np.ndarray:
    return (np.asarray(volume.array) > 0).astype(np.uint8)


def doubt_of(index: int, slices: int) -> int:
    """Return of how many voxels the network is not sure at all in one of ``slices`` slices."""
    return 7 * index % slices


def _sure(volume: Volume) -> np.ndarray:
    sure = np.ones(volume.shape)
    for index, one in enumerate(sure.reshape(volume.shape[0], -1)):
        one[: doubt_of(index, volume.shape[0])] = 0
    return sure
