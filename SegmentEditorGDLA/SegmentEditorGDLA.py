"""Adds the effect GDLA to the Segment Editor. The module is hidden: it has nothing to show."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest


class SegmentEditorGDLA(ScriptedLoadableModule):
    """What Slicer loads; GDLASegmenter comes with it, and before it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("GDLA Segment Editor effect")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "GDLASegmenter"]
        parent.contributors = ["The GDLASegmenter authors"]
        parent.hidden = True
        parent.helpText = _(
            "Adds the effect GDLA to the Segment Editor: it segments the slice under your eyes "
            "anew. Not a medical device; not for clinical use."
        )
        parent.acknowledgementText = _(
            "PVT-GDLA: Gated Differential Linear Attention, CVPR 2026 Findings, arXiv:2603.02727."
        )
        slicer.app.connect("startupCompleted()", registerEffect)


def registerEffect():
    """Let every Segment Editor have the effect."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects
    import SegmentEditorGDLALib
    from SegmentEditorGDLALib import GDLA

    # Where Slicer looks for it, by the names of folder and file. Without it Slicer would take the
    # one file for the whole package.
    SegmentEditorGDLALib.GDLAEffect = GDLA.GDLAEffect
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(GDLA.__file__.replace("\\", "/"))
    effect.self().register()


class SegmentEditorGDLATest(ScriptedLoadableModuleTest):
    """The self-test: every Segment Editor has the effect."""

    def test_registeredEffect(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        names = editor.availableEffectNames()
        editor.delete()
        self.assertIn("GDLA", names)
