"""The panel: shows one state, and passes on what the user wants."""

from __future__ import annotations

import time

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from GDLASegmenterLib.Activities import SegmentationActivity
from GDLASegmenterLib.AgreementPart import AgreementPart
from GDLASegmenterLib.Controller import Controller
from GDLASegmenterLib.DoubtProfile import storeDoubt
from GDLASegmenterLib.EnvironmentPart import EnvironmentPart
from GDLASegmenterLib.InputsPart import InputsPart
from GDLASegmenterLib.LogPart import LogPart
from GDLASegmenterLib.NeighborsPart import NeighborsPart
from GDLASegmenterLib.PanelState import ENABLED, PanelState
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.PreviewPart import PreviewPart
from GDLASegmenterLib.RequestOfParameters import modelRequest, requestOfParameters
from GDLASegmenterLib.ResultPart import ResultPart
from GDLASegmenterLib.ResultState import noteResult
from GDLASegmenterLib.ReviewPart import ReviewPart
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.TrainingSetPart import TrainingSetPart
from GDLASegmenterLib.UndoHistory import saveStateForUndo
from GDLASegmenterLib.WorkerHost import WorkerHost

_TICK_MS = 50
# While somebody waits for a slice, what this adds is felt, and a server's answer is told to take
# longer than it does.
_QUICK_TICK_MS = 10


class Panel(slicer.util.VTKObservationMixin):
    """The widgets of the module, and what happens when they are used.

    ``setParameters`` gives it the parameters to show, or None while the module is not open; what is
    being done goes on meanwhile.
    """

    def __init__(self, ui, scene) -> None:
        slicer.util.VTKObservationMixin.__init__(self)
        self.ui = ui
        self.parameters: Parameters | None = None
        self.controller = Controller()
        self.environment = EnvironmentPart(ui, self.begin, self.stopWorker, self.onDevice)
        self.worker = WorkerHost(self.environment.packages)
        self.logic = SegmentationLogic(self.worker, scene, saveStateForUndo)
        self.inputs = InputsPart(ui, self.environment, self.begin)
        self.result = ResultPart(ui)
        self.preview = PreviewPart(ui, self.logic, scene, self.environment, self.inputs, self.begin)
        self.review = ReviewPart(ui, self.inputs, self.result)
        self.neighbors = NeighborsPart(
            ui, self.environment, self.inputs, self.review, self.begin, self._begun
        )
        self.agreement = AgreementPart(ui, self.result, self.begin)
        self.trainingSet = TrainingSetPart(ui, self.inputs, self.result, self.begin)
        self.log = LogPart(ui, self.worker)
        self._activity: SegmentationActivity | None = None
        self._shownState: PanelState | None = None
        self._guiTag = None
        self._device = ""
        self._renderAt = 0.0
        ui.segmentButton.connect("clicked(bool)", self.onSegment)
        ui.cancelButton.connect("clicked(bool)", self.onCancel)
        ui.diagnosticsButton.connect("clicked(bool)", self.onDiagnostics)
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.connect("timeout()", self.onTick)
        self._timer.start()
        self._render()

    def setParameters(self, parameters: Parameters | None) -> None:
        """Show ``parameters`` from now on, and let the widgets change them."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self.parameters = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self.inputs.setParameters(parameters)
        self.result.setParameters(parameters)
        self.preview.setParameters(parameters)
        self.neighbors.setParameters(parameters)
        self.trainingSet.setParameters(parameters)
        self._render()

    def closeScene(self) -> None:
        """Let go of the scene, which is being closed; an installation goes on."""
        self.setParameters(None)
        self.preview.forget()
        self._activity = None
        self.controller.forget()
        self._render()

    def warmUp(self) -> None:
        """Have the worker and the chosen checkpoint ready before the user clicks."""
        model, environment = self.inputs.model, self.environment
        if model is not None and environment.canRun(model) and not self.controller.isBusy:
            self.worker.load(modelRequest(model, environment.device, environment.server))

    def begin(self, steps: list) -> None:
        """Do ``steps`` one after the other, unless something is being done."""
        if not self.controller.isBusy:
            self.controller.begin(steps)
            self._render()

    def stopWorker(self) -> None:
        """End the worker, because what it runs on is about to change; it starts when needed."""
        self.worker.close()

    def cleanup(self) -> None:
        """Stop what is being done and end the worker: the panel is not used any more."""
        self._timer.stop()
        self.setParameters(None)
        self.controller.cancel()
        self.logic.cleanup()

    def onSegment(self, checked: bool = False) -> None:
        """Get ready what is missing, if the user agrees, and segment."""
        parameters, volumeNode = self.parameters, self.parameters.inputVolume
        self.environment.takeOverServer()
        if self.inputs.model is None:
            self.begin([lambda: self._refuse(parameters)])
            return
        self.begin(
            [
                *self.environment.stepsToInstall(),
                *self.inputs.stepsToDownload(),
                lambda: self._segmentation(parameters, volumeNode),
            ]
        )

    def onCancel(self, checked: bool = False) -> None:
        self.controller.cancel()
        self._render()

    def onDevice(self) -> None:
        """Offer what can be segmented with where the networks are run now."""
        if self.parameters is not None:
            self.inputs.refresh()

    def onDiagnostics(self, checked: bool = False) -> None:
        self.environment.copyDiagnostics(self._device, self.worker.log())

    def onModified(self, caller=None, event=None) -> None:
        """Show the parameters as they are now."""
        self.inputs.update()
        self._render()

    def onTick(self) -> None:
        """Look after what is going on in the background."""
        if self.controller.isBusy:
            self.controller.tick()
        else:
            self.logic.update()
        self._followResult()
        now = time.monotonic()
        if self._timer.interval >= _TICK_MS or now >= self._renderAt:
            self._renderAt = now + _TICK_MS / 1000  # no use in showing the same at every quick tick
            self._render()
        isWaiting = self.logic.previews.isWaiting or self.environment.isTesting
        self._timer.setInterval(min(_QUICK_TICK_MS, _TICK_MS) if isWaiting else _TICK_MS)

    def _refuse(self, parameters: Parameters) -> None:
        raise self.inputs.absence(parameters.modelName)

    def _segmentation(self, parameters: Parameters, volumeNode) -> SegmentationActivity | None:
        if parameters.inputVolume is not volumeNode:  # removed while something was installed
            return None
        model, environment = self.inputs.storedModel(parameters.modelName), self.environment
        if model is None:
            self._refuse(parameters)
        request = requestOfParameters(parameters, model, environment.device, environment.server)
        return self._begun(request, parameters)

    def _begun(self, request: SegmentationRequest, parameters: Parameters) -> SegmentationActivity:
        self._activity = SegmentationActivity(self.logic, request, parameters)
        return self._activity

    def _followResult(self) -> None:
        """Note the segmentation as soon as there is one, also while the module is not open."""
        activity = self._activity
        if activity is None:
            return
        node = activity.run.segmentationNode
        if node is not None:
            noteResult(activity.parameters, node, activity.volumeState)
        self._device = activity.run.device
        if activity.isOver:
            self._activity = None
            if node is not None and (written := activity.run.writtenSlices):
                storeDoubt(node, activity.grid, activity.axis, activity.run.doubt, written)

    def _render(self) -> None:
        controller, ui = self.controller, self.ui
        state = controller.state
        enabled = ENABLED[state]
        isOpen = self.parameters is not None
        self.inputs.hideConfidence()
        hasVolume = isOpen and self.parameters.inputVolume is not None
        for part in (ui.inputsSection, ui.extentSection, ui.advancedSection):
            part.enabled = isOpen and enabled.choices
        ui.segmentButton.enabled = hasVolume and enabled.segment
        ui.segmentButton.toolTip = _segmentToolTip(hasVolume, enabled.segment)
        ui.cancelButton.enabled = enabled.cancel
        ui.cancelButton.toolTip = (
            _("Stop. Slices that are finished are kept.")
            if enabled.cancel
            else _("Nothing to stop.")
        )
        ui.progressBar.setVisible(enabled.progress)
        ui.progressBar.maximum = 0 if controller.fraction is None else 100
        ui.progressBar.value = round(100 * (controller.fraction or 0))
        ui.statusLabel.text = "\n".join([controller.text, *controller.warnings]).strip()
        self.result.update(isOpen and enabled.result)
        self.preview.update(enabled.preview)
        self.review.update(isOpen and enabled.result)
        self.neighbors.update(isOpen and enabled.segment)
        self.agreement.update(isOpen and enabled.choices)
        self.trainingSet.update(isOpen and enabled.addCase)
        self.log.update(controller)
        if state is not self._shownState:
            self._shownState = state
            self._onNewState(state)

    def _onNewState(self, state: PanelState) -> None:
        if not self.controller.isBusy:  # something may have been installed, imported or removed
            self.environment.update()
            if self.parameters is not None:
                self.inputs.refresh()
        if state is PanelState.FAILED:
            error = self.controller.error
            slicer.util.errorDisplay(str(error), detailedText=self.worker.log())


def _segmentToolTip(hasVolume: bool, isFree: bool) -> str:
    if not hasVolume:
        return _("Choose a volume to segment.")
    return _("Segment the volume.") if isFree else _("Something is being done.")
