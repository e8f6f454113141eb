"""One segmentation from the click to the finished node, driven by the worker's events."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from GDLACore.errors import GDLAError, OutputError, VolumeError
from GDLACore.imaging.view import check_slices, slice_view
from GDLACore.options import SegmentOptions
from GDLACore.worker import Doubt, Failed, Finished, Phase, SlicesDone, Started, Stopped, Warned
from GDLASegmenterLib.ConfidenceVolume import confidenceSteps
from GDLASegmenterLib.FinishingTouches import finishingSteps
from GDLASegmenterLib.Region import Region, readRegion
from GDLASegmenterLib.RunDoubt import doubtSteps
from GDLASegmenterLib.RunState import RunState
from GDLASegmenterLib.SegmentationOutput import SegmentationOutput, Steps
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.ViewedSlice import sliceAt
from GDLASegmenterLib.VolumeGrid import checkOutput, volumeGrid
from GDLASegmenterLib.VolumeInput import readVolume, volumeState

_log = logging.getLogger(__name__)


_NO_MORE = object()

_ENDS = (RunState.DONE, RunState.CANCELLED, RunState.FAILED)


class SegmentationRun:
    """What is going on, for the user interface to show, and what to do with what the worker sends.

    ``done`` of ``total`` slices (or structures) of the current ``phase`` are finished; ``device``
    says in words where it runs; ``warnings`` and ``error`` are for the user to read; ``structures``
    is how many of the model's segments hold anything in the end. ``doubt`` tells, once a run with
    confidence is over, how doubtful each slice is that it wrote (see ``GDLACore.review.doubt``).
    ``advance`` does a little of what is to be done and returns.
    """

    def __init__(
        self,
        worker,
        request: SegmentationRequest,
        saveStateForUndo: Callable[[object], None],
    ) -> None:
        self.state = RunState.PREPARING
        self.phase, self.done, self.total = "", 0, 0
        self.device = ""
        self.seconds = 0.0
        self.structures = 0
        self.doubt: dict[int, float] = {}
        self.warnings: list[str] = []
        self.error: GDLAError | None = None
        self._worker = worker
        self._saveStateForUndo = saveStateForUndo
        self._events: deque = deque()
        self._steps: Steps | None = None
        self._stateAtEnd = RunState.DONE
        self._keepFinishedSlices = True
        self._labels: np.ndarray | None = None
        self._confidence: np.ndarray | None = None
        self._doubtTold: Doubt | None = None
        self._received: list[int] = []

        volumeNode = request.volumeNode
        self._scene = volumeNode.GetScene()
        volume = readVolume(volumeNode)
        view = slice_view(volume, request.card.slice_axis, request.card.view)
        self._axis = view.axes[0]
        region = request.regionNode and readRegion(request.regionNode, volume)
        self._slices = _slicesOf(request, region, self._axis, view.count)
        check_slices(self._slices, view.count, volume.name)
        self._output = SegmentationOutput(
            *(self._scene, volumeGrid(volumeNode), request.card, region, request.outputNode),
            isPropagated=bool(request.corrections),
        )
        if request.outputNode is not None:
            checkOutput(request.outputNode, self._output.grid, request.card)
            self._output.check(self._axis, self._slices)
        self._volumeState = volumeState(volumeNode)
        options = SegmentOptions(
            slices=self._slices,
            focus_slice=request.focusRAS and sliceAt(volume, self._axis, request.focusRAS),
            borders=request.borders,
            batch_size=request.batchSize,
            largest_component=request.largestComponent,
            confidence=request.confidence,
        )
        key = (volumeNode.GetID(), self._volumeState)
        self._job = worker.segment(
            volume, request.model, options, key=key, corrections=request.corrections
        )

    @property
    def segmentationNode(self):
        """The node with the result, None as long as, or if, there is none."""
        return self._output.node

    @property
    def writtenSlices(self) -> frozenset[int]:
        """The slices of the result that are in the segmentation."""
        return frozenset(self._output.written)

    @property
    def finishedSlices(self) -> int:
        """How many slices of the result are in the segmentation."""
        return len(self._output.written)

    @property
    def reviewedSlices(self) -> int:
        """How many slices were left as they are, because the user reviewed them."""
        return len(self._output.left)

    @property
    def isOver(self) -> bool:
        return self.state in _ENDS

    def cancel(self, keepFinishedSlices: bool) -> None:
        """Ask the worker to stop; the run is over once it has, which ``state`` tells."""
        if self.state in (RunState.PREPARING, RunState.RUNNING):
            self._keepFinishedSlices = keepFinishedSlices
            self.state = RunState.CANCELLING
            self._worker.cancel()
        elif self.state is RunState.FINISHING and not keepFinishedSlices:
            if self._keepFinishedSlices:  # else it is being taken back already
                self._keepFinishedSlices = False
                self._finish(RunState.CANCELLED)

    def abandon(self) -> None:
        """End at once, without touching the scene, which may be closing."""
        if not self.isOver:
            self._worker.cancel()
            self._end(RunState.CANCELLED)

    stop = abandon  # what is finished stays, also where the run ends with its module

    def receive(self, event) -> None:
        """Queue ``event`` of the worker, if it is about this run."""
        if not self.isOver and getattr(event, "job", None) == self._job:
            self._events.append(event)

    def advance(self) -> bool:
        """Take one step; return False if there is nothing to do until the worker says more."""
        if self.isOver or not (self._steps or self._events):
            return False
        try:
            self._checkScene()
            if self._steps is not None:
                self._step()
            elif not self.isOver:
                self._handle(self._events.popleft())
        except GDLAError as error:
            self._fail(error)
        except Exception as error:  # shown once, instead of at every tick of a timer
            _log.exception("The result could not be written to the scene")
            self._fail(
                GDLAError(
                    f"The result could not be written to the scene ({type(error).__name__}).",
                    "Try again into a new segmentation, and report this with the log.",
                )
            )
        return True

    def _handle(self, event) -> None:
        if isinstance(event, Started):
            self._labels, self._confidence = event.labels, event.confidence
            self.device = event.device
            if self.state is RunState.PREPARING:
                self.state = RunState.RUNNING
        elif isinstance(event, Phase):
            self.phase, self.done, self.total = event.phase, event.done, event.total
        elif isinstance(event, Warned):
            self.warnings.append(event.message)
        elif isinstance(event, SlicesDone):
            self.phase, self.done, self.total = "segmenting", event.done, event.total
            self._received += event.indices
            self._steps = self._write(event.axis, event.indices)
        elif isinstance(event, Finished):
            self.device, self.seconds = event.device, event.seconds
            self._doubtTold = event.doubt
            wasCancelled = self.state is RunState.CANCELLING
            self._finish(RunState.CANCELLED if wasCancelled else RunState.DONE, event.cleaned)
        elif isinstance(event, Stopped):
            self._finish(RunState.CANCELLED)
        elif isinstance(event, Failed):
            self.error = event.error
            self._finish(RunState.FAILED)

    def _write(self, axis: int, indices: Sequence[int]) -> Steps:
        if not self._output.isOpen:
            yield from self._output.open(axis, self._slices, self._saveStateForUndo)
        yield from self._output.write(self._labels, axis, indices)

    def _finish(self, stateAtEnd: RunState, cleaned: np.ndarray | None = None) -> None:
        self.state, self._stateAtEnd = RunState.FINISHING, stateAtEnd
        self._steps = self._finishing(cleaned)

    def _finishing(self, cleaned: np.ndarray | None) -> Steps:
        output = self._output
        if self._stateAtEnd is not RunState.DONE and not self._keepFinishedSlices:
            yield from output.discard(self._labels)
        elif cleaned is not None:
            yield from output.amend(self._labels, cleaned)
        if not output.isOpen or output.node is None:
            return
        self.structures = yield from finishingSteps(
            output.node.GetSegmentation(), output.card, output.grid
        )
        if written := sorted(output.written):
            yield from confidenceSteps(
                output.node, output.grid, self._confidence, self._axis, written, output.inside
            )
            if self._confidence is not None:
                self.doubt = yield from doubtSteps(
                    output, self._confidence, self._axis, self._doubtTold
                )

    def _step(self) -> None:
        if next(self._steps, _NO_MORE) is not _NO_MORE:
            return
        self._steps = None
        if self.state is RunState.FINISHING:
            self._end(self._stateAtEnd)

    def _end(self, state: RunState) -> None:
        """Let go of everything that belongs to the scene or the worker."""
        self.state = state
        self._output.close()
        self._steps = self._labels = self._confidence = None
        self._events.clear()

    def _fail(self, error: GDLAError) -> None:
        self.error = error
        self._worker.cancel()
        self._end(RunState.FAILED)

    def _checkScene(self) -> None:
        """Stop, or move the result elsewhere, if what the run is about is no longer what it was."""
        volumeNode = self._scene.GetNodeByID(self._output.grid.volumeID)
        name = self._output.grid.volumeName
        if self._output.isGone:
            self.warnings.append("The segmentation was removed while it was being made.")
            self._output.written.clear()
            self._worker.cancel()
            self._end(RunState.CANCELLED)
        elif volumeNode is None:
            if self.state is not RunState.FINISHING:
                self.warnings.append(f"{name} was removed: its segmentation was stopped.")
                self._worker.cancel()
                self._keepFinishedSlices = False
                self._finish(RunState.CANCELLED)
        elif self._volumeState is not None and not self._isUnchanged(volumeNode):
            self._volumeState = None  # said once
            reason = f"{name} was changed while it was being segmented:"
            if self._output.isNew or self.state is RunState.FINISHING:
                self.warnings.append(f"{reason} the result belongs to how it was before.")
            else:
                self._keepApart(f"{reason} the result belongs to how it was before and", True)
        elif self._output.node is not None:
            self._checkOutput()

    def _checkOutput(self) -> None:
        try:
            checkOutput(self._output.node, self._output.grid, self._output.card)
        except OutputError as error:
            if self.state is RunState.FINISHING:
                self.warnings.append(error.message)
                self._end(self._stateAtEnd)
            else:
                self._keepApart(f"{error.message} The result", False)

    def _isUnchanged(self, volumeNode) -> bool:
        try:
            return volumeState(volumeNode) == self._volumeState
        except VolumeError:
            return False

    def _keepApart(self, reason: str, takeBack: bool) -> None:
        """Move the result to a node of its own, because of ``reason``, and say so.

        ``takeBack``: whether the node it was in is to be as if the run had not been; it cannot if
        what was written no longer fits it.
        """
        previous = self._output
        stays = ""
        if previous.written and not takeBack:
            stays = f"; what was written of it before stays in {previous.node.GetName()}"
        self.warnings.append(f"{reason} is in a segmentation of its own{stays}.")
        self._output = SegmentationOutput(
            *(self._scene, previous.grid, previous.card, previous.region),
            isPropagated=previous.isPropagated,
        )
        self._steps = self._moving(previous if takeBack else None)
        if not takeBack:
            previous.close()

    def _moving(self, previous: SegmentationOutput | None) -> Steps:
        if previous is not None:
            yield from previous.discard(self._labels)
            previous.close()
        if self._received:
            yield from self._write(self._axis, sorted(self._received))


def _slicesOf(request: SegmentationRequest, region: Region | None, axis: int, count: int) -> range:
    """Return the slices that are to be computed, of ``count`` along array axis ``axis``."""
    if request.slices is not None:
        return request.slices
    return range(count) if region is None else region.slices(axis, count)
