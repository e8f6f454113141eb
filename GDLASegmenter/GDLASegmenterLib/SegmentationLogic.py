"""Segmentations in the scene, one at a time, made by a worker that is never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import slicer

from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SegmentationRun import SegmentationRun
from GDLASegmenterLib.SequenceRun import SequenceRun
from GDLASegmenterLib.SlicePreviews import SlicePreviews

# Of the 50 ms after which a window feels slow, leave some for drawing what has changed.
_BUDGET_S = 0.02
_GIVEN_S = 0.01


class SegmentationLogic:
    """Turns requests into runs, and drives them whenever ``update`` is called.

    Usage, in an application with a timer::

        logic = SegmentationLogic(WorkerClient(), scene)
        run = logic.segment(SegmentationRequest(volumeNode, ModelRequest("demo-ct"), card))
        timer.connect("timeout()", logic.update)    # until run.isOver

    ``previews`` are for single slices while no run is going on.

    ``saveStateForUndo`` is called with a segmentation node once per run, before anything in it is
    changed; the application passes what keeps its history, such as the Segment Editor.
    """

    def __init__(
        self,
        worker,
        scene,
        saveStateForUndo: Callable[[object], None] = lambda segmentationNode: None,
    ) -> None:
        self.worker = worker
        self.previews = SlicePreviews(worker)
        self.run: SegmentationRun | SequenceRun | None = None
        self._scene = scene
        self._saveStateForUndo = saveStateForUndo
        self._closing = scene.AddObserver(
            slicer.vtkMRMLScene.StartCloseEvent, self._onSceneStartClose
        )

    @property
    def isBusy(self) -> bool:
        """Whether a run is going on, or the worker has yet to stop one that was abandoned."""
        return self.worker.busy or (self.run is not None and not self.run.isOver)

    def segment(self, request: SegmentationRequest) -> SegmentationRun:
        """Begin what ``request`` asks for, and return the run.

        Of a volume in a sequence, the frame that is shown is segmented. Raises VolumeError or
        OutputError if volume and segmentation do not go together, before anything is changed;
        everything that goes wrong later is in the run's ``error``. Raises ValueError while another
        run is going on.
        """
        return self._begin(SegmentationRun, request)

    def segmentSequence(self, request: SegmentationRequest) -> SequenceRun:
        """Begin to segment all frames of the sequence that the volume is in; as ``segment``.

        The result is a new sequence, whatever output the request names.
        """
        return self._begin(SequenceRun, request)

    def _begin(self, kind, request: SegmentationRequest):
        if self.isBusy:
            raise ValueError("Another segmentation is being made.")
        self.run = kind(self.worker, request, self._saveStateForUndo)
        return self.run

    def update(self) -> None:
        """Do what the worker's messages ask for, for a few hundredths of a second at most."""
        stop = time.perf_counter() + _BUDGET_S
        events = self.worker.poll()
        if not events and (self.worker.busy or self.previews.isWaiting):
            # Slicer keeps Python's lock while its window waits for the user: without this the
            # client's threads would get no time to write the volume and to listen.
            threading.Event().wait(_GIVEN_S)
            events = self.worker.poll()
        for event in events:
            if self.run is not None:
                self.run.receive(event)
            self.previews.receive(event)
        self.previews.update()
        while self.run is not None and self.run.advance() and time.perf_counter() < stop:
            pass

    def cancel(self, keepFinishedSlices: bool = True) -> None:
        """Stop the run; slices that are finished stay in the segmentation, or are taken back."""
        if self.run is not None:
            self.run.cancel(keepFinishedSlices)

    def cleanup(self) -> None:
        """Let go of the scene and end the worker."""
        self._scene.RemoveObserver(self._closing)
        self.previews.close()
        if self.run is not None:
            self.run.stop()
        self.worker.close()

    def _onSceneStartClose(self, caller, event) -> None:
        self.previews.cancel()
        if self.run is not None:
            self.run.abandon()
            self.run = None
        self.worker.forget()
