"""The effect's live preview: what the checkpoint finds in every slice that the user scrolls to."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from GDLACore.errors import GDLAError
from GDLASegmenterLib.LivePreview import LivePreview
from SegmentEditorGDLALib.Checkpoint import readyCheckpoint

_TICK_MS = 20


class EffectPreview:
    """A box to turn the preview on. It goes off with the effect, not to cover what is painted.

    ``effect`` is Slicer's side of it; ``say`` is given what the user should know.
    """

    def __init__(self, effect, say: Callable[[str], None]) -> None:
        self._effect = effect
        self._say = say
        self._live: LivePreview | None = None
        self._said = ""
        self.checkBox = qt.QCheckBox(_("Preview while scrolling"))
        self.checkBox.toolTip = _(
            "Draw over every slice what the checkpoint finds in it. Nothing is written."
        )
        effect.addOptionsWidget(self.checkBox)
        self.checkBox.connect("toggled(bool)", self.onToggled)
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.connect("timeout()", self.onTick)

    def stop(self) -> None:
        self.checkBox.checked = False

    def cleanup(self) -> None:
        self.stop()
        self._timer.disconnect("timeout()", self.onTick)
        self.checkBox.disconnect("toggled(bool)", self.onToggled)

    def onToggled(self, checked: bool) -> None:
        if not checked:
            self._end()
            return
        volumeNode = self._effect.parameterSetNode().GetSourceVolumeNode()
        try:
            checkpoint = readyCheckpoint(volumeNode)
            # It is not asked to keep anything: the effect writes by itself.
            live = LivePreview(checkpoint.logic, volumeNode.GetScene(), lambda node: None)
            live.start(volumeNode, checkpoint.request, checkpoint.card, checkpoint.borders)
        except GDLAError as error:
            self._say(str(error))
            self.stop()
            return
        self._live, self._said = live, ""
        self._timer.start()

    def onTick(self) -> None:
        """Notice what hinders the preview, or has ended it."""
        live = self._live
        live.update()
        notes = [live.waiting or live.notice, *live.warnings]
        text = str(live.error or " ".join(filter(None, notes)))
        if text != self._said:
            self._said = text
            self._say(text)
        if not live.isOn:
            self.stop()

    def _end(self) -> None:
        self._timer.stop()
        if self._live is not None:
            self._live.stop()
            self._live = None
