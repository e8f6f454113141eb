"""The worker that Slicer talks to: a process of its own, or a thread where none can be started."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from slicer.i18n import tr as _

from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Failed,
    Finished,
    InProcessClient,
    LaunchError,
    ModelRequest,
    PreviewDone,
    Stopped,
    Warned,
    WorkerClient,
)
from GDLASegmenterLib.Folders import pythonSlicer

_ENDS = (Finished, PreviewDone, Stopped, Failed)


class WorkerHost:
    """Has the face of ``WorkerClient``, and keeps to a thread once no process could be started.

    ``packages`` is the folder with ONNX Runtime, asked for at every start because it may have been
    installed meanwhile; None if Slicer itself has it.
    """

    def __init__(self, packages: Callable[[], Path | None]) -> None:
        self._packages = packages
        self._client: WorkerClient | None = None
        self._isProcess = True
        self._warning = ""  # for the next segmentation: nobody reads what is said of a preview
        self._segmentation: int | None = None
        self._numbers = itertools.count(1)
        self._jobs: dict[int, int] = {}  # the client's numbers -> ours: clients begin at 1
        # The client's number of what was asked last, and what asks for it again; it holds a volume.
        self._again: tuple[int, Callable[[], int]] | None = None

    @property
    def busy(self) -> bool:
        return self._client is not None and self._client.busy

    @property
    def previewing(self) -> bool:
        return self._client is not None and self._client.previewing

    def start(self) -> None:
        self._current().start()

    def load(self, model: ModelRequest) -> None:
        self._current().load(model)

    def segment(
        self,
        volume: Volume,
        model: ModelRequest,
        options: SegmentOptions,
        *,
        key: Hashable = None,
        corrections: Mapping[int, np.ndarray] | None = None,
    ) -> int:
        self._segmentation = self._ask(
            lambda: self._current().segment(
                volume, model, options, key=key, corrections=corrections
            )
        )
        return self._segmentation

    def preview(
        self,
        volume: Volume,
        model: ModelRequest,
        indices: Sequence[int],
        borders: str,
        *,
        key: Hashable,
    ) -> int:
        return self._ask(lambda: self._current().preview(volume, model, indices, borders, key=key))

    def withdraw(self) -> None:
        if self._client is not None:
            self._client.withdraw()

    def cancel(self) -> None:
        if self._client is not None:
            self._client.cancel()

    def forget(self) -> None:
        if self._client is not None:
            self._client.forget()

    def poll(self) -> list:
        if self._client is None:
            return []
        events = [found for event in self._client.poll() for found in self._heed(event)]
        jobs = {getattr(event, "job", None) for event in events} - {None}
        if self._warning and self._segmentation in jobs:
            events.insert(0, Warned(self._segmentation, self._warning))
            self._warning = ""
        return events

    def log(self) -> str:
        return self._client.log() if self._client is not None else ""

    def close(self) -> None:
        """End the worker; the next request starts another."""
        if self._client is not None:
            self._client.close()
            self._client = None
            self._jobs.clear()
            self._again = None

    def _current(self) -> WorkerClient:
        if self._client is None:
            packages = self._packages()
            if self._isProcess:
                self._client = WorkerClient(
                    [pythonSlicer()],
                    folder=Path(slicer.app.temporaryPath),
                    packages=packages,
                    environment=slicer.util.startupEnvironment(),
                )
            else:
                if packages is not None and str(packages) not in sys.path:
                    sys.path.insert(0, str(packages))
                self._client = InProcessClient(folder=Path(slicer.app.temporaryPath))
        return self._client

    def _ask(self, ask: Callable[[], int]) -> int:
        asked = ask()
        job = self._jobs[asked] = next(self._numbers)
        self._again = asked, ask
        return job

    def _heed(self, event) -> list:
        if isinstance(event, Failed) and isinstance(event.error, LaunchError):
            return self._goOnHere(event) if self._isProcess else []
        asked = getattr(event, "job", None)
        if asked is None:
            return [event]
        job = self._jobs[asked]
        if isinstance(event, _ENDS):
            del self._jobs[asked]
            if self._again is not None and self._again[0] == asked:
                self._again = None
        return [dataclasses.replace(event, job=job)]

    def _goOnHere(self, event: Failed) -> list:
        """Do in a thread what no process could be started for."""
        self._isProcess = False
        self._warning = _("{message} Segmenting inside Slicer instead.").format(
            message=event.error.message
        )
        job, again = self._jobs.get(event.job), self._again
        self.close()
        if job is not None:
            _number, ask = again
            asked = ask()
            self._jobs[asked], self._again = job, (asked, ask)
        return []
