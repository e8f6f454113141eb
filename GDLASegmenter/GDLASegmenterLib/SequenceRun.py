"""All frames of a volume sequence, one after the other, into a sequence of segmentations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import slicer

from GDLACore.errors import GDLAError, VolumeError
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SegmentationRun import RunState, SegmentationRun


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
        self.warnings: list[str] = []
        self.error: GDLAError | None = None
        self.segmentationNode = None
        self.finishedSlices = 0
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
        self._sources = (request.volumeNode, self._browser, self._frames)
        self._results = None
        self._frame = 0
        self._frameNode = None
        self._run: SegmentationRun | None = None
        self._begin()

    @property
    def isOver(self) -> bool:
        return self._run is None

    def cancel(self, keepFinishedSlices: bool) -> None:
        """Stop; frames that are finished stay, or the new sequence is not made at all."""
        if self._run is not None:
            self.state = RunState.CANCELLING
            self._run.cancel(keepFinishedSlices=False)
            if not keepFinishedSlices and self._results is not None:
                self._scene.RemoveNode(self._results)
                self._results = None

    def abandon(self) -> None:
        if self._run is not None:
            self._run.abandon()
            self.state, self._run = RunState.CANCELLED, None

    def receive(self, event) -> None:
        if self._run is not None:
            self._run.receive(event)

    def advance(self) -> bool:
        run = self._run
        if run is None:
            return False
        if not all(map(self._scene.IsNodePresent, self._sources)):
            self._drop()
            return True
        if not run.advance():
            return False
        self.phase, self.device = run.phase, run.device
        self.done, self.total = self._progress(run)
        if run.segmentationNode is not None:
            # It belongs to another frame than the one that is shown.
            run.segmentationNode.SetDisplayVisibility(False)
        if run.state is RunState.RUNNING and self.state is RunState.PREPARING:
            self.state = RunState.RUNNING
        if run.isOver:
            self._collect(run)
        return True

    def _drop(self) -> None:
        """End without a result: there is nothing left that it could belong to."""
        name = self._request.volumeNode.GetName()
        self.warnings.append(f"{name} or its sequence was removed: its segmentation was stopped.")
        node = self._run.segmentationNode
        self.abandon()
        if node is not None:
            self._remove(node)
        self._scene.RemoveNode(self._frameNode)
        if self._results is not None:
            self._scene.RemoveNode(self._results)

    def _progress(self, run: SegmentationRun) -> tuple[int, int]:
        if run.phase != "segmenting":
            return run.done, run.total
        frames = self._frames.GetNumberOfDataNodes()
        return self._frame * run.total + run.done, frames * run.total

    def _begin(self) -> None:
        self._frameNode = self._addFrameNode()
        try:
            self._run = SegmentationRun(
                self._worker,
                dataclasses.replace(self._request, volumeNode=self._frameNode, outputNode=None),
                self._saveStateForUndo,
            )
        except GDLAError:
            self._scene.RemoveNode(self._frameNode)
            raise

    def _addFrameNode(self):
        """Return a volume node with the voxels of the frame, which it shares with the sequence."""
        frame = self._frames.GetNthDataNode(self._frame)
        node = slicer.mrmlScene.CreateNodeByClass(frame.GetClassName())
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
        self.seconds += run.seconds
        self.warnings += [one for one in run.warnings if one not in self.warnings]
        if run.state is RunState.DONE:
            self.finishedSlices += run.finishedSlices
            self.structures = max(self.structures, run.structures)
            self._store(run.segmentationNode)
        elif run.segmentationNode is not None:
            self._remove(run.segmentationNode)
        self._scene.RemoveNode(self._frameNode)
        self._frame += 1
        if run.state is not RunState.DONE or self._frame == self._frames.GetNumberOfDataNodes():
            self._end(run)
            return
        try:
            self._begin()
        except GDLAError as error:
            self.error = error
            self._end(run, RunState.FAILED)

    def _store(self, node) -> None:
        if self._results is None:
            name = f"{self._request.volumeNode.GetName()} {self._request.card.name} sequence"
            self._results = self._scene.AddNewNodeByClass(
                "vtkMRMLSequenceNode", self._scene.GenerateUniqueName(name)
            )
            self._results.SetIndexName(self._frames.GetIndexName())
            self._results.SetIndexUnit(self._frames.GetIndexUnit())
            self._results.SetIndexType(self._frames.GetIndexType())
        node.SetDisplayVisibility(True)
        self._results.SetDataNodeAtValue(node, self._frames.GetNthIndexValue(self._frame))
        self._remove(node)

    def _remove(self, node) -> None:
        displayNode = node.GetDisplayNode()
        self._scene.RemoveNode(node)
        self._scene.RemoveNode(displayNode)

    def _end(self, run: SegmentationRun, state: RunState | None = None) -> None:
        self.error = self.error or run.error
        self._run = None
        if self._results is not None:
            self._show()
        self.state = state or run.state

    def _show(self) -> None:
        """Let the browser show the segmentation of the frame that it shows."""
        self._browser.AddSynchronizedSequenceNode(self._results)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)
        node = self._browser.GetProxyNode(self._results)
        volumeNode = self._request.volumeNode
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volumeNode.GetID())
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        volumeItem = hierarchy.GetItemByDataNode(volumeNode)
        item = hierarchy.GetItemByDataNode(node)
        if volumeItem and item:
            hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))
        self.segmentationNode = node


def browserOf(volumeNode):
    """Return the browser of the sequence that ``volumeNode`` is a frame of, None if there is none.

    A volume in a sequence is segmented frame by frame; as it is, it counts as one volume.
    """
    return slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(volumeNode)
