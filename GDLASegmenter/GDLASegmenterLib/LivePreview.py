"""The slice under the user's eyes, segmented while the user scrolls."""

from __future__ import annotations

import logging

import numpy as np
import slicer
import slicer.util
import vtk

from GDLACore.errors import Cancelled, GDLAError, OutputError
from GDLACore.model.card import ModelCard
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.ConfidenceVolume import confidenceSteps
from GDLASegmenterLib.FinishingTouches import finishingSteps
from GDLASegmenterLib.NodeRemoval import removeWithItsNodes
from GDLASegmenterLib.PreviewOverlay import PreviewOverlay
from GDLASegmenterLib.SegmentationOutput import SegmentationOutput, Steps
from GDLASegmenterLib.SlicePreviews import SlicePreview
from GDLASegmenterLib.ViewedSlice import viewOf
from GDLASegmenterLib.VolumeGrid import checkOutput
from GDLASegmenterLib.VolumeInput import volumeState
from GDLASegmenterLib.VolumeSlices import VolumeSlices

_log = logging.getLogger(__name__)

_VOLUME_EVENTS = (
    slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    vtk.vtkCommand.ModifiedEvent,
)


class LivePreview(slicer.util.VTKObservationMixin):
    """Draws what a model finds in the slice that the user looks at, and keeps it if asked to.

    The slice is that of the view that ``viewOf`` finds, as for all that is about the slice under
    the user's eyes. While a segmentation is being made there is no preview. Call ``update`` from a
    timer while ``isOn``; ``error`` tells why it went off by itself, ``notice`` and ``warnings``
    what the user should know meanwhile, of the view and of the volume. While the view ``isTilted``,
    not all of the slice is seen, and it cannot be kept.
    """

    def __init__(self, logic, scene, saveStateForUndo) -> None:
        slicer.util.VTKObservationMixin.__init__(self)
        self.error: GDLAError | None = None
        self.notice = ""
        self.isTilted = False
        self._logic = logic
        self._scene = scene
        self._saveStateForUndo = saveStateForUndo
        self._overlay = PreviewOverlay(scene)
        self._volumeID: str | None = None
        self._choice: tuple[ModelRequest, ModelCard, str] | None = None
        self._slices: VolumeSlices | None = None
        self._viewed: int | None = None
        self._shown: SlicePreview | None = None

    @property
    def isOn(self) -> bool:
        return self._volumeID is not None

    @property
    def index(self) -> int | None:
        """The stored slice that the overlay shows, None if it is empty."""
        return self._overlay.index

    @property
    def axis(self) -> int | None:
        """The array axis (0 = k) across that slice."""
        return None if self._shown is None else self._shown.axis

    @property
    def viewedIndex(self) -> int | None:
        """The stored slice that the user looks at, None if no view shows one."""
        return self._viewed

    @property
    def waiting(self) -> str:
        """Which server the slice that is viewed is waited for, if that takes long, else ""."""
        isMissing = self._viewed is not None and self._shown is None
        return self._logic.previews.waiting if isMissing else ""

    @property
    def warnings(self) -> list[str]:
        """What the worker has to say of the volume, or of where it computes."""
        return self._logic.previews.warnings if self.isOn else []

    def start(self, volumeNode, model: ModelRequest, card: ModelCard, borders: str) -> None:
        """Preview ``volumeNode`` with this model from now on, in place of what was before.

        Raises VolumeError, and is off, if the volume cannot be segmented.
        """
        self.stop()
        slices = VolumeSlices.of(volumeNode, card)
        self.error = None
        self._volumeID, self._slices = volumeNode.GetID(), slices
        self._choice = model, card, borders
        for event in _VOLUME_EVENTS:
            self.addObserver(volumeNode, event, self._onVolume)
        scene = slicer.vtkMRMLScene
        self.addObserver(self._scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(self._scene, scene.NodeAboutToBeRemovedEvent, self._onNodeRemoved)
        self.addObserver(self._scene, scene.StartCloseEvent, self._onSceneStartClose)
        for sliceNode in self._sliceNodes():
            self._watch(sliceNode)
        self._follow()

    def stop(self) -> None:
        """Take the overlay away, and look at nothing any more."""
        self.removeObservers()
        self._logic.previews.drop(self._onLabels)
        self._overlay.remove()
        self._volumeID = self._choice = self._slices = None
        self._viewed = self._shown = None
        self.notice, self.isTilted = "", False

    def update(self) -> None:
        """Notice that a segmentation has begun or ended."""
        if self.isOn:
            self._follow()

    def keepSteps(self, outputNode=None) -> Steps:
        """Return steps that write the slice that is shown into ``outputNode``, or into a new one.

        They return the segmentation node. Nothing is computed: what is written is what is seen. The
        confidence of an earlier run in that slice is forgotten.
        Raises OutputError if there is nothing to keep, or if the slice cannot be written there; the
        steps raise it if the slice was reviewed.
        """
        shown = self._shown
        if shown is None or self.index is None:
            raise OutputError(
                "There is no preview to keep.",
                "Wait until the slice is drawn, and try again.",
            )
        if self.isTilted:
            raise OutputError(
                f"The view is tilted against the slices of {shown.grid.volumeName}: only a part of "
                f"slice {shown.index} is seen.",
                "Rotate the view to the volume's plane, and keep the slice then.",
            )
        if self._logic.isBusy:
            raise OutputError(
                "A segmentation is being made.", "Wait until it is done, or cancel it."
            )
        if outputNode is not None:
            checkOutput(outputNode, shown.grid, shown.card)
        output = SegmentationOutput(self._scene, shown.grid, shown.card, None, outputNode)
        return _keeping(output, shown, self._saveStateForUndo)

    # What happens in the scene

    def _onView(self, sliceNode, event=None) -> None:
        self._follow()

    def _onVolume(self, volumeNode, event=None) -> None:
        self._follow()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node) -> None:
        if node.IsA("vtkMRMLSliceNode"):
            self._watch(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, scene, event, node) -> None:
        if node.GetID() == self._volumeID:
            name = node.GetName()
            self.stop()
            self.notice = f"{name} was removed: its preview has ended."

    def _onSceneStartClose(self, scene, event) -> None:
        self.stop()

    def _watch(self, sliceNode) -> None:
        self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onView)

    # What follows from it

    def _follow(self) -> None:
        """Show, or ask for, the slice that is viewed, unless it is there already."""
        volumeNode = self._scene.GetNodeByID(self._volumeID)
        model, card, borders = self._choice
        try:
            if self._slices.state != volumeState(volumeNode) or self._isElsewhere(volumeNode):
                self._clear()
                self._logic.previews.drop(self._onLabels)
                self._slices = VolumeSlices.of(volumeNode, card)
            viewed = None if self._logic.isBusy else self._viewedSlice(volumeNode)
            if viewed == self._viewed:
                return
            self._clear()
            self._viewed = viewed
            if viewed is None:
                self._logic.previews.drop(self._onLabels)
            else:
                self._logic.previews.want(
                    *(volumeNode, model, card, borders, viewed),
                    *(self._onLabels, self._fail),
                )
        except GDLAError as error:
            self._fail(error)

    def _isElsewhere(self, volumeNode) -> bool:
        """Whether the overlay would not follow the volume, under a transform that is equal yet."""
        shown = self._shown
        return shown is not None and shown.grid.transformID != volumeNode.GetTransformNodeID()

    def _onLabels(self, preview: SlicePreview) -> None:
        try:
            self._overlay.show(
                preview.grid, preview.card, preview.axis, preview.index, preview.labels
            )
        except Exception as error:  # shown once, instead of at every slice
            _log.exception("The preview could not be drawn")
            self._fail(
                GDLAError(
                    f"The preview could not be drawn ({type(error).__name__}).",
                    "Report this with the log.",
                )
            )
        else:
            self._shown = preview

    def _clear(self) -> None:
        self._viewed = self._shown = None
        self._overlay.clear()

    def _fail(self, error: GDLAError) -> None:
        self.stop()
        if not isinstance(error, Cancelled):  # else what was previewed is being closed
            self.error = error

    def _viewedSlice(self, volumeNode) -> int | None:
        """Return which slice is in the middle of the view that counts, and set ``notice``."""
        sliceNode = viewOf(volumeNode, self._slices)
        seen = None if sliceNode is None else self._slices.seenIn(sliceNode)
        self.notice, self.isTilted, name = "", False, volumeNode.GetName()
        if seen is None or not seen.isAlong:
            self.notice = f"No slice view is along the slices of {name} that the model looks at."
            return None
        if seen.isTilted:
            self.isTilted = True
            self.notice = (
                f"The view is tilted against the slices of {name}: the preview is seen only where "
                "both meet. Rotate the view to the volume's plane to see all of it."
            )
        return seen.index

    def _sliceNodes(self) -> list:
        return slicer.util.getNodesByClass("vtkMRMLSliceNode", self._scene)


def _keeping(output: SegmentationOutput, shown: SlicePreview, saveStateForUndo) -> Steps:
    labels = np.broadcast_to(np.expand_dims(shown.labels, shown.axis), shown.grid.shape)
    try:
        _checkIsThere(output)
        for _step in _writing(output, shown, labels, saveStateForUndo):
            yield
            _checkIsThere(output)
    except BaseException:  # also if nobody wants the rest of the steps
        if output.isOpen:
            for _step in output.discard(labels):
                pass
        elif output.isNew and output.node is not None:
            removeWithItsNodes(output.node)
        raise
    finally:
        output.close()
    return output.node


def _checkIsThere(output: SegmentationOutput) -> None:
    if output.isGone:
        raise Cancelled("The segmentation was removed while the slice was being kept.")


def _writing(
    output: SegmentationOutput, shown: SlicePreview, labels: np.ndarray, saveStateForUndo
) -> Steps:
    yield from output.open(shown.axis, range(shown.index, shown.index + 1), saveStateForUndo)
    yield from output.write(labels, shown.axis, [shown.index])
    if output.left:
        raise OutputError(
            f"Slice {shown.index} of {output.node.GetName()} was edited while it was being kept.",
            "What you drew there is as you left it.",
        )
    yield from finishingSteps(output.node.GetSegmentation(), output.card, output.grid)
    # What an earlier run knew of the slice is not about these labels.
    yield from confidenceSteps(output.node, output.grid, None, shown.axis, [shown.index])
