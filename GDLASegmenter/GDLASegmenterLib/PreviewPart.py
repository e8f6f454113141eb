"""The panel's live preview: what the checkpoint finds in the slice that the user looks at."""

from __future__ import annotations

from collections.abc import Callable

import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import GDLAError
from GDLASegmenterLib.Activities import StepsActivity
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.DoubtProfile import storeDoubt
from GDLASegmenterLib.EnvironmentPart import EnvironmentPart
from GDLASegmenterLib.InputsPart import InputsPart
from GDLASegmenterLib.LivePreview import LivePreview
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.RequestOfParameters import bordersOf, modelRequest
from GDLASegmenterLib.ResultState import isResultOf, noteResult
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.SlicePreviews import modelFileState
from GDLASegmenterLib.UndoHistory import saveStateForUndo
from GDLASegmenterLib.VolumeGrid import volumeGrid
from GDLASegmenterLib.VolumeInput import volumeState


class PreviewPart:
    """Turns the preview on and off, and keeps the slice that it shows. ``begin`` does steps.

    It is on while its box is checked and nothing is in the way; whatever is, the box says.
    """

    def __init__(
        self,
        ui,
        logic: SegmentationLogic,
        scene,
        environment: EnvironmentPart,
        inputs: InputsPart,
        begin: Callable[[list[Step]], None],
    ) -> None:
        self._ui = ui
        self._environment = environment
        self._inputs = inputs
        self._begin = begin
        self._live = LivePreview(logic, scene, saveStateForUndo)
        self._parameters: Parameters | None = None
        self._previewed: tuple | None = None  # what the preview was turned on with
        self._keeping: StepsActivity | None = None
        self._note = ""
        ui.livePreviewCheckBox.connect("toggled(bool)", self.onToggled)
        ui.keepSliceButton.connect("clicked(bool)", self.onKeep)

    def setParameters(self, parameters: Parameters | None) -> None:
        self._parameters = parameters
        if parameters is None:
            self.stop()

    def stop(self) -> None:
        """Show nothing any more, until the next ``update``."""
        self._live.stop()
        self._previewed = None

    def forget(self) -> None:
        """Go off, because what was previewed is being closed."""
        self.stop()
        self._ui.livePreviewCheckBox.checked = False

    def update(self, enabled: bool) -> None:
        """Show what the user wants to see; ``enabled``: whether the worker may be asked now."""
        if self._keeping is not None and self._keeping.isOver:
            self._keeping = None
        self._followPreview()
        obstacle = self._obstacle(enabled or self._keeping is not None)
        box = self._ui.livePreviewCheckBox
        if obstacle or not box.checked:
            if self._live.isOn:
                self.stop()
        else:
            self._show()
        self._live.update()
        self._render(obstacle)

    def onToggled(self, checked: bool) -> None:
        self._note = ""

    def onKeep(self, checked: bool = False) -> None:
        """Write the slice that is seen into the segmentation, or into a new one."""
        try:
            steps = self._live.keepSteps(self._outputNode())
        except GDLAError as error:
            slicer.util.errorDisplay(str(error), _("Keep slice"))
            return
        index, axis, parameters = self._live.index, self._live.axis, self._parameters
        grid = volumeGrid(parameters.inputVolume)
        state = volumeState(parameters.inputVolume)

        def kept(segmentationNode) -> None:
            noteResult(parameters, segmentationNode, state)
            storeDoubt(segmentationNode, grid, axis, {}, {index})  # that was about other labels
            activity.text = _("Slice {index} is kept in {name}.").format(
                index=index, name=segmentationNode.GetName()
            )

        activity = StepsActivity(steps, _("Keeping the slice…"), kept)
        self._keeping = activity
        self._begin([lambda: activity])

    def _outputNode(self):
        """Return where to keep a slice if nothing is chosen: beside those of the same voxels."""
        chosen, result = self._parameters.segmentation, self._parameters.result
        if chosen is not None or result is None:
            return chosen
        volumeNode = self._parameters.inputVolume
        return result if isResultOf(result, volumeNode) else None

    def _followPreview(self) -> None:
        """Notice that the preview went off by itself."""
        if self._previewed is None or self._live.isOn:
            return
        self._previewed = None
        self._ui.livePreviewCheckBox.checked = False  # which clears the note
        self._note = str(self._live.error or self._live.notice)

    def _obstacle(self, enabled: bool) -> str:
        """Return why there can be no preview now, "" if there can."""
        model = self._inputs.model
        if self._parameters is None or self._parameters.inputVolume is None:
            return _("Choose a volume to preview.")
        if not enabled:
            return _("Something is being done: the preview has to wait.")
        if model is None:
            return str(self._inputs.absence(self._parameters.modelName))
        if self._environment.isRemote:
            return self._environment.serverProblem
        if model.state != storage.READY:
            return _("The checkpoint is not on this computer. Click Segment to fetch it.")
        if not self._environment.isReady:
            return _("ONNX Runtime is not installed. Click Segment to install it.")
        return ""

    def _show(self) -> None:
        """Turn the preview on, or on again if something else is chosen."""
        parameters, model = self._parameters, self._inputs.model
        request = modelRequest(model, self._environment.device, self._environment.server)
        wanted = (
            *(parameters.inputVolume.GetID(), bordersOf(parameters)),
            *(request, modelFileState(request), model.card),
        )
        if wanted == self._previewed:
            return
        try:
            self._live.start(parameters.inputVolume, request, model.card, bordersOf(parameters))
            self._previewed = wanted
        except GDLAError as error:
            self._ui.livePreviewCheckBox.checked = False
            self._note = str(error)

    def _render(self, obstacle: str) -> None:
        ui, live = self._ui, self._live
        ui.livePreviewCheckBox.enabled = not obstacle
        ui.livePreviewCheckBox.toolTip = obstacle or _(
            "Show what the checkpoint finds in the slice that you look at, without changing any "
            "segmentation."
        )
        canKeep = live.index is not None and not live.isTilted
        ui.keepSliceButton.enabled = canKeep and self._keeping is None
        ui.keepSliceButton.toolTip = self._keepToolTip(obstacle)
        note = self._note or " ".join(filter(None, [live.waiting, live.notice, *live.warnings]))
        ui.previewNoteLabel.text = note
        ui.previewNoteLabel.setVisible(bool(note))

    def _keepToolTip(self, obstacle: str) -> str:
        if not self._live.isOn:
            return obstacle or _("Turn on the live preview first.")
        if self._live.index is None:
            return _("Wait until the preview is drawn.")
        if self._live.isTilted:
            return _("Rotate the view to the volume's plane, to see all of the slice, first.")
        node = self._outputNode()
        if node is None:
            return _("Write this slice into a new segmentation, as it is seen.")
        return _("Write this slice into {name}, as it is seen.").format(name=node.GetName())
