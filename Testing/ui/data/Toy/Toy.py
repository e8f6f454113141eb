"""The least that a module of Slicer does: a volume in, a text out, parameters in the scene."""

from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


@parameterNodeWrapper
class ToyParameters:
    inputVolume: vtkMRMLScalarVolumeNode
    modality: Annotated[str, Choice(["CT", "MR"])] = "MR"
    threshold: Annotated[float, WithinRange(0, 100)] = 40.0
    smooth: bool = True


class Toy(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Toy")
        parent.categories = ["Testing"]


class ToyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.parameters = self._tag = None
        self.calls = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Toy.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = ToyLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.disconnectParameters)
        self.addObserver(scene, scene.EndCloseEvent, self.connectParameters)
        self.calls.append("setup")

    def enter(self):
        self.calls.append("enter")
        self.connectParameters()

    def exit(self):
        self.calls.append("exit")
        self.disconnectParameters()

    def cleanup(self):
        self.calls.append("cleanup")
        self.disconnectParameters()
        self.removeObservers()

    def connectParameters(self, caller=None, event=None):
        self.disconnectParameters()
        self.parameters = ToyParameters(self.logic.getParameterNode())
        self._tag = self.parameters.connectGui(self.ui)

    def disconnectParameters(self, caller=None, event=None):
        if self.parameters:
            self.parameters.disconnectGui(self._tag)
        self.parameters = None

    def onApply(self, checked=False):
        with slicer.util.tryWithErrorDisplay(_("The toy is broken.")):
            self.ui.resultLabel.text = self.logic.describe(self.parameters)


class ToyLogic(ScriptedLoadableModuleLogic):
    def describe(self, parameters):
        if parameters.inputVolume is None:
            raise ValueError("Select a volume first.")
        return _("{name} above {threshold}").format(
            name=parameters.inputVolume.GetName(), threshold=parameters.threshold
        )
