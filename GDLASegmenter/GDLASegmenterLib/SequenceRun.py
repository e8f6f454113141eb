"""All frames of a volume sequence, one after the other, into a sequence of segmentations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import slicer

from GDLACore.errors import GDLAError, VolumeError
from GDLASegmenterLib.ModelRecord import recordsOf, removeRecord
from GDLASegmenterLib.NodeRemoval import removeWithItsNodes
from GDLASegmenterLib.RunState import RunState
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SegmentationRun import SegmentationRun
from GDLASegmenterLib.VolumeGrid import browserOf


class SequenceRun:
    """A run like ``SegmentationRun``, over the sequence that the request's volume is a frame of.

    ``done`` of ``total`` counts the slices of all frames. Every frame is read from the sequence, so
    the user may look at other frames meanwhile. What is finished when the run ends is kept: a new
    sequence, synchronized with the volume's in its browser, with a segmentation to show.
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
        # Of no use for one frame after the other:
        self.doubt: dict[int, float] = {}
        self.writtenSlices: frozenset[int] = frozenset()
        self.warnings: list[str] = []
        self.error: GDLAError | None = None
        self.segmentationNode = None
        self.finishedSlices = 0
        self.reviewedSlices = 0  # its segmentations are always new ones
        self._worker = worker
        self._saveStateForUndo = saveStateForUndo
        self._request = request
        self._scene = request.volumeNode.GetScene()
        self._browser = browserOf(request.volumeNode)
        if self._browser is None:
            raise VolumeError(
                f"{request.volumeNode.GetName()} is no frame of a sequence.",
                "Segment the volume itself, or choose one that a sequence browser shows.",
            )
        self._frames = self._browser.GetSequenceNode(request.volumeNode)
        self._sources = [request.volumeNode, self._browser, self._frames]
        # By value: the user may remove frames meanwhile, which counts the others anew.
        self._waiting = [
            self._frames.GetNthIndexValue(index)
            for index in range(self._frames.GetNumberOfDataNodes())
        ]
        self._count = len(self._waiting)
        self._indexValue = ""
        self._keepFinishedFrames = True
        self._isCancelled = False
        self._results = None
        self._frameNode = None
        self._run: SegmentationRun | None = None
        self._begin()

    @property
    def isOver(self) -> bool:
        return self._run is None

    def cancel(self, keepFinishedSlices: bool) -> None:
        """Stop; frames that are finished stay, or the new sequence is not made at all."""
        if self._run is not None:
            self.state, self._isCancelled = RunState.CANCELLING, True
            self._keepFinishedFrames = keepFinishedSlices
            self._run.cancel(keepFinishedSlices=False)

    def abandon(self) -> None:
        """End at once, without touching the scene, which is closing."""
        if self._run is not None:
            self._run.abandon()
            self.state, self._run = RunState.CANCELLED, None

    def stop(self) -> None:
        """End at once, and leave no node that is only of use to the run."""
        if self._run is not None:
            run = self._run
            run.abandon()
            self._isCancelled = True
            self._collect(run)

    def receive(self, event) -> None:
        if self._run is not None:
            self._run.receive(event)

    def advance(self) -> bool:
        """Take one step; return False if there is nothing to do until the worker says more."""
        if self._run is None:
            return False
        if not all(map(self._scene.IsNodePresent, self._sources)):
            self._drop()
            return True
        run = self._run
        if not run.advance():
            return False
        self.phase, self.device = run.phase, run.device
        self.done, self.total = self._progress(run)
        if run.state is RunState.RUNNING and self.state is RunState.PREPARING:
            self.state = RunState.RUNNING
        if run.segmentationNode is not None:
            _hide(run.segmentationNode)
        if run.isOver:
            self._collect(run)
        return True

    def _drop(self) -> None:
        """End without a result: there is nothing left that it could belong to."""
        name = self._request.volumeNode.GetName()
        self.warnings.append(f"{name} or its sequence was removed: its segmentation was stopped.")
        self._keepFinishedFrames = False
        self.stop()

    def _progress(self, run: SegmentationRun) -> tuple[int, int]:
        if run.phase != "segmenting":
            return run.done, run.total
        finished = self._count - len(self._waiting) - 1
        return finished * run.total + run.done, self._count * run.total

    def _begin(self) -> None:
        self._indexValue = self._waiting.pop(0)
        self._frameNode = self._addFrameNode()
        try:
            self._run = SegmentationRun(
                self._worker,
                dataclasses.replace(
                    self._request,
                    volumeNode=self._frameNode,
                    outputNode=None,
                    confidence=False,
                    corrections=None,
                ),
                self._saveStateForUndo,
            )
        except GDLAError:
            self._scene.RemoveNode(self._frameNode)
            raise

    def _addFrameNode(self):
        """Return a volume node with the voxels of the frame, which it shares with the sequence."""
        frame = self._frames.GetDataNodeAtValue(self._indexValue)
        node = self._scene.CreateNodeByClass(frame.GetClassName())
        node.UnRegister(None)
        node.SetName(self._request.volumeNode.GetName())
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.CopyOrientation(frame)
        node.SetAndObserveImageData(frame.GetImageData())
        self._scene.AddNode(node)
        node.SetAndObserveTransformNodeID(self._request.volumeNode.GetTransformNodeID())
        return node

    def _collect(self, run: SegmentationRun) -> None:
        """Keep what came of a frame, and go on with the next that there still is."""
        self.seconds += run.seconds
        self.warnings += [one for one in run.warnings if one not in self.warnings]
        node = run.segmentationNode
        isPresent = self._scene.IsNodePresent(self._frames)
        wasKept = isPresent and self._frames.GetDataNodeAtValue(self._indexValue) is not None
        if run.state is RunState.DONE and wasKept and not self._isCancelled:
            self.finishedSlices += run.finishedSlices
            self.structures = max(self.structures, run.structures)
            for record in recordsOf(node):  # a sequence takes no other nodes with a frame
                removeRecord(node, record)
            self._store(node)
        if node is not None:
            removeWithItsNodes(node)
        self._scene.RemoveNode(self._frameNode)
        present = self._scene.IsNodePresent(self._frames)
        while self._waiting and not (present and self._frames.GetDataNodeAtValue(self._waiting[0])):
            self._waiting.pop(0)  # removed by the user
        if self._isCancelled or run.state is not RunState.DONE or not self._waiting:
            self._end(RunState.CANCELLED if self._isCancelled else run.state, run.error)
            return
        try:
            self._begin()
        except GDLAError as error:
            self._end(RunState.FAILED, error)

    def _store(self, node) -> None:
        if self._results is None:
            name = f"{self._request.volumeNode.GetName()} {self._request.card.name} sequence"
            self._results = self._scene.AddNewNodeByClass(
                "vtkMRMLSequenceNode", self._scene.GenerateUniqueName(name)
            )
            self._results.SetIndexName(self._frames.GetIndexName())
            self._results.SetIndexUnit(self._frames.GetIndexUnit())
            self._results.SetIndexType(self._frames.GetIndexType())
            self._sources.append(self._results)
        self._results.SetDataNodeAtValue(node, self._indexValue)

    def _end(self, state: RunState, error: GDLAError | None) -> None:
        self.error = error
        self._run = None
        if self._results is not None and self._scene.IsNodePresent(self._results):
            if self._keepFinishedFrames:
                self._show()
            else:
                self._scene.RemoveNode(self._results)
        self.state = state

    def _show(self) -> None:
        """Let the browser show the segmentation of the frame that it shows."""
        self._browser.AddSynchronizedSequenceNode(self._results)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)
        node = self._browser.GetProxyNode(self._results)
        if node is None:  # the frame that is shown has no result
            return
        volumeNode = self._request.volumeNode
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volumeNode.GetID())
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        volumeItem = hierarchy.GetItemByDataNode(volumeNode)
        item = hierarchy.GetItemByDataNode(node)
        if volumeItem and item:
            hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))
        self.segmentationNode = node


def _hide(segmentationNode) -> None:
    """Keep out of sight and of saved scenes what belongs to another frame than is shown.

    What a sequence takes of a node is without these marks.
    """
    segmentationNode.SetDisplayVisibility(False)
    for node in [segmentationNode, *(record.node for record in recordsOf(segmentationNode))]:
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
