"""Segments volumes with PVT-GDLA. This file is what Slicer loads; the parts are in the Lib folder.

Nothing but Slicer's own modules is imported here: the module costs nothing until it is opened.
"""

import os
import sys

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if os.path.isdir(os.path.join(os.path.dirname(__file__), os.pardir, "GDLACore")):
    # A checkout, where the backend is not beside the module but beside its folder.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


OLDEST_SLICER = (5, 12)


class GDLASegmenter(ScriptedLoadableModule):
    """What Slicer shows in its list of modules."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("GDLA Segmenter")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The GDLASegmenter authors"]
        parent.helpText = _(
            "Segments CT, MR, ultrasound and dermoscopy images slice by slice with PVT-GDLA, on a "
            "graphics processor or the CPU. The result can be corrected in Segment Editor at once. "
            "Not a medical device; not for clinical use."
        )
        parent.acknowledgementText = _(
            "PVT-GDLA: Gated Differential Linear Attention, CVPR 2026 Findings, arXiv:2603.02727."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer the sample that ships with the extension in the Sample Data module."""
    from GDLASegmenterLib.SampleCT import registerSampleCT

    registerSampleCT()


def labelForOldSlicer():
    """Return what is shown instead of the panel where the panel cannot work."""
    import qt

    label = qt.QLabel(
        _(
            "GDLA Segmenter needs 3D Slicer {oldest} or newer; this is {version}. "
            "Get a newer one from https://download.slicer.org."
        ).format(
            oldest=".".join(str(number) for number in OLDEST_SLICER),
            version=slicer.app.applicationVersion,
        )
    )
    label.wordWrap = True
    label.toolTip = _("Both versions of 3D Slicer can be installed side by side.")
    return label


class GDLASegmenterWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Tells the panel when the module is opened and closed, and which parameters there are."""

    def __init__(self, parent=None):
        # Without a parent, setup() is called before the next line but one is done.
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._isOpen = False
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        if (slicer.app.majorVersion, slicer.app.minorVersion) < OLDEST_SLICER:
            self.layout.addWidget(labelForOldSlicer())
            return
        from GDLASegmenterLib.Panel import Panel

        widget = slicer.util.loadUI(self.resourcePath("UI/GDLASegmenter.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = GDLASegmenterLogic()
        self.panel = Panel(slicer.util.childWidgetVariables(widget), slicer.mrmlScene)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self.onSceneReady)
        slicer.app.connect("aboutToQuit()", self.onQuit)
        self._open()

    def cleanup(self):
        self.removeObservers()
        if self.panel is not None:
            slicer.app.disconnect("aboutToQuit()", self.onQuit)
            self.panel.cleanup()
            self.panel = None

    def enter(self):
        if self.panel is not None:
            self._open()
            self.panel.warmUp()

    def exit(self):
        self._isOpen = False
        if self.panel is not None:
            self.panel.setParameters(None)

    def onSceneStartClose(self, caller, event):
        self.panel.closeScene()

    def onSceneStartImport(self, caller, event):
        """Let nobody change the parameters as long as half of the nodes is missing."""
        self.panel.setParameters(None)

    def onSceneReady(self, caller, event):
        if self._isOpen:
            self._open()

    def onQuit(self):
        """Leave no process behind; cleanup() may be yet to come, or not come at all."""
        self.panel.cleanup()

    def _open(self):
        self._isOpen = True
        self.panel.setParameters(self.logic.getParameterNode())


class GDLASegmenterLogic(ScriptedLoadableModuleLogic):
    """Where the parameters are kept in the scene.

    To segment from a script, see GDLASegmenterLib.SegmentationLogic.
    """

    def getParameterNode(self):
        from GDLASegmenterLib.Parameters import Parameters

        return Parameters(ScriptedLoadableModuleLogic.getParameterNode(self))


class GDLASegmenterTest(ScriptedLoadableModuleTest):
    """The self-test, in Slicer and wherever its libraries are."""

    def runTest(self):
        from GDLASegmenterLib.SelfTest import runSelfTest

        self.setUp()
        runSelfTest(self)
