"""The effect as the Segment Editor knows it; what it does is in the other files."""

from __future__ import annotations

import os

import qt
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

_ICON = os.path.join("..", "Resources", "Icons", "SegmentEditorGDLA.png")


class GDLAEffect(AbstractScriptedSegmentEditorEffect):
    """Segments the slice under the user's eyes anew, for one segment or for all structures.

    Slicer makes it with ``scriptedEffect``, its side of the effect, and calls its methods.
    """

    def __init__(self, scriptedEffect) -> None:
        scriptedEffect.name = "GDLA"
        scriptedEffect.title = _("GDLA")
        scriptedEffect.perSegment = False  # all structures need no segment
        scriptedEffect.requireSegments = False
        scriptedEffect.showEffectCursorInSliceView = False  # nothing is done by clicking there
        self._options = None
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        cloned = effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(__file__.replace("\\", "/"))
        return cloned

    def icon(self):
        return qt.QIcon(os.path.normpath(os.path.join(os.path.dirname(__file__), _ICON)))

    def helpText(self) -> str:
        # Slicer shows what is before the first <br>, and the rest if asked for.
        return _(
            "<html>Let a PVT-GDLA network segment the slice under your eyes anew.<br><p>It is the "
            "checkpoint that is chosen in the module GDLA Segmenter, on the slices that it looks "
            "at: most often the axial ones. Other slices are not touched."
            "<ul><li><b>Selected segment</b>: it becomes, in this slice, the structure chosen "
            "below.</li><li><b>All structures</b>: each goes to the segment that the checkpoint "
            "made; what is missing is added. What is given to them is taken from other segments if "
            "<i>Modify other segments</i> is <i>Overwrite all</i>, also from those that you drew: "
            "choose <i>Allow overlap</i> to keep them.</li></ul>Masking is respected: editable "
            "area, intensity range, and which other segments are overwritten. <i>Undo</i> takes "
            "all of it back. A slice that you ticked as reviewed is refused, and where it crosses "
            "one that you ticked along another axis, it stays as it is.<p>Not for clinical use."
            "</html>"
        )

    def setupOptionsFrame(self) -> None:
        from SegmentEditorGDLALib.EffectOptions import EffectOptions

        self._options = EffectOptions(self.scriptedEffect)

    def setMRMLDefaults(self) -> None:
        self.scriptedEffect.setParameterDefault("Scope", "segment")

    def activate(self) -> None:
        self._options.start()

    def deactivate(self) -> None:
        self._options.stop()

    def sourceVolumeNodeChanged(self) -> None:
        if self._options is not None and self.scriptedEffect.active():
            self._options.leaveVolume()

    def updateGUIFromMRML(self) -> None:
        self._options.update()

    def updateMRMLFromGUI(self) -> None:
        """Nothing to do: each widget writes what it stands for when it is used."""

    def cleanup(self) -> None:
        if self._options is not None:
            self._options.cleanup()
            self._options = None
