"""What the Segment Editor shows of the effect, and what happens when it is used."""

from __future__ import annotations

import qt
import slicer.util
import vtk
from slicer.i18n import tr as _

from GDLACore.errors import GDLAError, OutputError
from GDLACore.model.card import Label, ModelCard
from SegmentEditorGDLALib.Checkpoint import chosenModel, readyCheckpoint, warmUp
from SegmentEditorGDLALib.EffectPreview import EffectPreview
from SegmentEditorGDLALib.SliceSegmentation import SliceSegmentation
from SegmentEditorGDLALib.SliceUnderEyes import viewedSlice
from SegmentEditorGDLALib.Structures import structureOf

_TICK_MS = 5
_SEGMENT, _ALL = "segment", "all"  # values of the parameter Scope


class EffectOptions(slicer.util.VTKObservationMixin):
    """The widgets, filled with the structures of the checkpoint while the effect is active.

    ``effect`` is Slicer's side of it.
    """

    def __init__(self, effect) -> None:
        slicer.util.VTKObservationMixin.__init__(self)
        self._effect = effect
        self._card: ModelCard | None = None
        # What the user says a segment stands for, by the IDs of its segmentation and its own.
        self._chosen: dict[tuple[str, str], int] = {}
        self._work: SliceSegmentation | None = None
        self._build()
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.connect("timeout()", self.onTick)

    def start(self) -> None:
        """Follow the editor, and have the checkpoint loaded before it is needed."""
        node = self._effect.parameterSetNode()
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.update)
        self.statusLabel.text = ""
        self.showCheckpoint()
        try:
            warmUp(node.GetSourceVolumeNode())
        except GDLAError:
            pass  # it is said when it matters

    def stop(self) -> None:
        """Follow nothing any more. What has come is written, what has not is not awaited."""
        self.removeObservers()
        self.preview.stop()
        self._chosen.clear()
        if self._work is not None:
            self._work.finish()
            self._show()

    def cleanup(self) -> None:
        self.stop()
        self.preview.cleanup()
        self._timer.disconnect("timeout()", self.onTick)
        self.segmentButton.disconnect("clicked(bool)", self.onSegment)
        self.allRadioButton.disconnect("toggled(bool)", self.onScope)
        self.structureComboBox.disconnect("activated(int)", self.onStructure)

    def leaveVolume(self) -> None:
        """Stop previewing, because another source volume is chosen."""
        self.preview.stop()
        self.showCheckpoint()

    def showCheckpoint(self) -> None:
        """Show which checkpoint is chosen, and offer its structures."""
        try:
            model = chosenModel(self._effect.parameterSetNode().GetSourceVolumeNode())
        except GDLAError as error:
            model, self.checkpointLabel.text = None, str(error)
        else:
            self.checkpointLabel.text = (
                _("none: choose one in GDLA Segmenter") if model is None else model.title
            )
        self._list(None if model is None else model.card)
        self.update()

    def update(self, caller=None, event=None) -> None:
        """Show what is chosen, and what structure the selected segment stands for."""
        if self._effect.parameterSetNode() is None:
            return
        isAll = self._isAll
        for button, isOn in ((self.allRadioButton, isAll), (self.segmentRadioButton, not isAll)):
            wasBlocked = button.blockSignals(True)
            button.checked = isOn
            button.blockSignals(wasBlocked)
        label = self._structure()
        index = -1 if label is None else self.structureComboBox.findData(label.value)
        self.structureComboBox.setCurrentIndex(index)
        self.structureComboBox.enabled = not isAll
        self._show()

    def onScope(self, isAll: bool) -> None:
        self._effect.setParameter("Scope", _ALL if isAll else _SEGMENT)
        self.update()

    def onStructure(self, index: int) -> None:
        """Note what the user says of the selected segment."""
        if self._segment() is not None:
            self._chosen[self._segmentKey] = self.structureComboBox.itemData(index)

    def onSegment(self, checked: bool = False) -> None:
        """Ask for the slice that the user looks at."""
        if self._work is not None:
            return
        isAll = self._isAll
        if not isAll and not self._effect.confirmCurrentSegmentVisible():
            return
        try:
            volumeNode = self._effect.parameterSetNode().GetSourceVolumeNode()
            self.showCheckpoint()  # another may have been chosen meanwhile
            checkpoint = readyCheckpoint(volumeNode)
            index = viewedSlice(volumeNode, checkpoint.card)
            label = None if isAll else self._labelToWrite()
            self._work = SliceSegmentation(self._effect, checkpoint, index, label)
        except GDLAError as error:
            self.say(str(error))
            return
        self._timer.start()
        self._show()

    def say(self, text: str) -> None:
        """Tell the user something, unless there is something else going on to be told of."""
        if self._work is None:
            self.statusLabel.text = text

    def onTick(self) -> None:
        """Look after what is going on."""
        self._work.advance()
        self._show()

    def _show(self) -> None:
        if self._work is not None:
            self.statusLabel.text = self._work.text
            if self._work.isOver:
                self._timer.stop()
                self._work = None
        self.segmentButton.enabled = self._work is None

    def _labelToWrite(self) -> Label:
        """Return what the selected segment stands for; raises OutputError if nobody knows."""
        segment = self._segment()
        if segment is None:
            raise OutputError(_("No segment is selected."), _("Select one, or add one."))
        label = self._structure()
        if label is None:
            raise OutputError(
                _("{segment} is none of the checkpoint's structures by its type or name.").format(
                    segment=segment.GetName()
                ),
                _("Choose the structure that it stands for."),
            )
        return label

    @property
    def _isAll(self) -> bool:
        # Closing the scene takes the editor's parameters away, and tells of it.
        hasScope = self._effect.parameterDefined("Scope")
        return hasScope and self._effect.parameter("Scope") == _ALL

    def _structure(self) -> Label | None:
        segment = self._segment()
        if segment is None or self._card is None:
            return None
        chosen = self._chosen.get(self._segmentKey)
        if chosen is None:
            return structureOf(segment, self._card)
        return next((label for label in self._card.labels if label.value == chosen), None)

    @property
    def _segmentKey(self) -> tuple[str, str]:
        node = self._effect.parameterSetNode()
        return node.GetSegmentationNode().GetID(), node.GetSelectedSegmentID()

    def _segment(self):
        """Return the selected segment, None if there is none."""
        node = self._effect.parameterSetNode()
        segmentationNode, segmentID = node.GetSegmentationNode(), node.GetSelectedSegmentID()
        if segmentationNode is None or not segmentID:
            return None
        return segmentationNode.GetSegmentation().GetSegment(segmentID)

    def _list(self, card: ModelCard | None) -> None:
        """Offer the structures of ``card``; what was said of another checkpoint's is forgotten."""
        if card == self._card:
            return
        self._card = card
        self._chosen.clear()
        self.structureComboBox.clear()
        for label in () if card is None else card.labels:
            self.structureComboBox.addItem(label.name, label.value)

    def _build(self) -> None:
        self.segmentRadioButton = qt.QRadioButton(_("Selected segment"))
        self.segmentRadioButton.toolTip = _("Make the selected segment what the checkpoint finds.")
        self.allRadioButton = qt.QRadioButton(_("All structures"))
        self.allRadioButton.toolTip = _(
            "Make the segments of all structures what the checkpoint finds; add what is missing. "
            'Under "Overwrite all" it takes voxels of other segments, also of those that you drew.'
        )
        scope = qt.QHBoxLayout()
        scope.addWidget(self.segmentRadioButton)
        scope.addWidget(self.allRadioButton)
        self._effect.addLabeledOptionsWidget(_("Write to:"), scope)
        self.structureComboBox = qt.QComboBox()
        self.structureComboBox.toolTip = _("The structure that the selected segment stands for.")
        self._effect.addLabeledOptionsWidget(_("Structure:"), self.structureComboBox)
        self.checkpointLabel = qt.QLabel()
        self.checkpointLabel.wordWrap = True
        self.checkpointLabel.toolTip = _("It is chosen in the module GDLA Segmenter.")
        self._effect.addLabeledOptionsWidget(_("Checkpoint:"), self.checkpointLabel)
        self.preview = EffectPreview(self._effect, self.say)
        self.segmentButton = qt.QPushButton(_("Segment this slice"))
        self.segmentButton.toolTip = _(
            "Segment the slice that the slice view shows, of several views the one that was moved "
            "last. Other slices are not touched."
        )
        self._effect.addOptionsWidget(self.segmentButton)
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        self._effect.addOptionsWidget(self.statusLabel)
        self.segmentButton.connect("clicked(bool)", self.onSegment)
        self.allRadioButton.connect("toggled(bool)", self.onScope)
        self.structureComboBox.connect("activated(int)", self.onStructure)
