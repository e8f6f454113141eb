"""The panel's inputs: which checkpoints suit the volume, and what is known of the one chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import GDLAError, ModelFileError
from GDLASegmenterLib.ConfidenceVolume import isConfidence
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.EnvironmentPart import EnvironmentPart
from GDLASegmenterLib.GettingModels import GettingModels
from GDLASegmenterLib.ModalityGuess import guessModality
from GDLASegmenterLib.Parameters import Modality, Parameters, SegmentedPart
from GDLASegmenterLib.SequenceRun import browserOf
from GDLASegmenterLib.ViewedSlice import sliceAxis
from GDLASegmenterLib.VolumeGrid import isFor
from GDLASegmenterLib.VolumeInput import readVolume


class InputsPart(slicer.util.VTKObservationMixin):
    """Keeps the choices together: the modality with the volume, the checkpoint with the modality.

    With another volume, a segmentation that was not made of it is not chosen any more, or a run
    would put the one's result into the other's; the user may choose it again.
    A checkpoint that is chosen, and not known at the moment, stays chosen until the user, or images
    of another modality, choose another: no other one works in its place.

    ``update`` is to be called whenever the parameters have changed; ``begin`` does steps.
    """

    def __init__(
        self, ui, environment: EnvironmentPart, begin: Callable[[list[Step]], None]
    ) -> None:
        slicer.util.VTKObservationMixin.__init__(self)
        self._ui = ui
        self._environment = environment
        self._getting = GettingModels(environment.modelFolder)
        self._begin = begin
        self._parameters: Parameters | None = None
        self._volumeNode = None
        self._models: dict[str, storage.StoredModel] = {}
        self._listed: Modality | None = None
        ui.modelComboBox.connect("currentIndexChanged(int)", self._onModelSelected)
        ui.regionSelector.connect("nodeAddedByUserAction(vtkMRMLNode*)", self._onRegionAdded)
        ui.importModelButton.connect("clicked(bool)", self.onImport)
        ui.removeModelButton.connect("clicked(bool)", self.onRemove)

    def setParameters(self, parameters: Parameters | None) -> None:
        self._parameters = parameters
        self._listed = None
        self.removeObservers()
        self._volumeNode = parameters and parameters.inputVolume
        if parameters is not None:
            if parameters.inputVolume is None:
                parameters.inputVolume = _likelyVolume()
            self.update()

    @property
    def model(self) -> storage.StoredModel | None:
        """The checkpoint that is chosen, None if it is not known, or none is chosen."""
        return self._models.get(self._parameters.modelName) if self._parameters else None

    def storedModel(self, name: str) -> storage.StoredModel | None:
        """Return the checkpoint called ``name`` as it is now: it may just have come."""
        return next((model for model in self._known() if model.name == name), None)

    def absence(self, name: str) -> ModelFileError:
        """Return why there is no checkpoint called ``name``, or none at all if that is empty."""
        if not name:
            return ModelFileError(_("No checkpoint for such images is known."), _("Import one."))
        if self._environment.isRemote and not self._environment.offered:
            return ModelFileError(
                _("The checkpoint {name} is known only to the server.").format(name=name),
                _("Test the connection, or choose another checkpoint."),
            )
        if self._environment.isRemote:
            message = _("The server does not offer the checkpoint {name}.").format(name=name)
        else:
            message = _("The checkpoint {name} is not on this computer.").format(name=name)
        return ModelFileError(message, _("Choose another checkpoint."))

    def refresh(self, select: str | None = None) -> None:
        """Look again which checkpoints there are, and choose the one called ``select``."""
        self._listed = None
        if select is not None:
            self._parameters.modelName = select
        self.update()

    def hideConfidence(self) -> None:
        """Offer no confidence volumes: the selector would choose one if its volume is removed."""
        model = self._ui.inputVolumeSelector.sortFilterProxyModel()
        hidden = [node.GetID() for node in _scalarVolumes() if isConfidence(node)]
        if list(model.hiddenNodeIDs) != hidden:
            model.hiddenNodeIDs = hidden

    def stepsToDownload(self) -> list[Step]:
        """Return what is to be done to have the chosen checkpoint; it asks the user."""
        model = self.model
        if model is None or model.state == storage.READY or self._environment.isRemote:
            return []
        return [lambda: self._getting.downloadAfterAsking(model)]

    def onImport(self, checked: bool = False) -> None:
        """Take a file of the user's into the folder of the checkpoints."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Checkpoint"),
            "",
            _("Checkpoints") + " (*.onnx *.ckpt *.pth *.pt *.safetensors)",
        )
        if path:
            self._begin(self._getting.stepsToImport(Path(path), self._onImported))

    def onRemove(self, checked: bool = False) -> None:
        model = self.model
        if self._getting.removeAfterAsking(model):
            isGone = all(one.name != model.name for one in self._known())
            self.refresh("" if isGone else None)

    def _onImported(self, report: storage.ImportReport) -> None:
        """Choose the imported checkpoint, and the kind of image that it is for."""
        if self._parameters is not None:
            self._parameters.modality = Modality[report.card.modality]
            model = next(one for one in self._known() if one.path == report.path)
            self.refresh(model.name)

    def update(self, caller=None, event=None) -> None:
        """Show what fits the parameters, and correct what does not."""
        parameters = self._parameters
        volumeNode = parameters.inputVolume
        self._watch(volumeNode)
        if volumeNode is not self._volumeNode:
            self._volumeNode = volumeNode
            chosen = parameters.segmentation
            if volumeNode and chosen and not isFor(chosen, volumeNode):
                parameters.segmentation = None
        if volumeNode is not None and volumeNode is not parameters.modalityKnownOf:
            self._guessModality(volumeNode)
        if self._listed is not parameters.modality:
            isOther = self._listed is not None
            self._listed = parameters.modality
            known = self._known()
            self._listModels(known)
            chosen = parameters.modelName
            isAwaited = chosen and not isOther and all(model.name != chosen for model in known)
            if chosen not in self._models and not isAwaited:
                parameters.modelName = next(iter(self._models), "")
        self._showModel()
        self._showPart(volumeNode)

    def _watch(self, volumeNode) -> None:
        """Look again when the volume gets its voxels: it may be chosen before."""
        event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        if volumeNode is None or not self.hasObserver(volumeNode, event, self.update):
            self.removeObservers()
            if volumeNode is not None:
                self.addObserver(volumeNode, event, self.update)

    def _guessModality(self, volumeNode) -> None:
        try:
            modality = Modality[guessModality(readVolume(volumeNode))]
        except GDLAError:
            return  # said when it is to be segmented
        with slicer.util.NodeModify(self._parameters.parameterNode):
            self._parameters.modalityKnownOf = volumeNode
            self._parameters.modality = modality

    def _listModels(self, known: list[storage.StoredModel]) -> None:
        """Offer the checkpoints for the modality, those that are at hand first."""
        wanted = self._parameters.modality.name
        self._models = {
            model.name: model
            for model in sorted(known, key=lambda one: not self._isAtHand(one))
            if model.card is not None and model.card.modality == wanted
        }
        comboBox = self._ui.modelComboBox
        wasBlocked = comboBox.blockSignals(True)
        comboBox.clear()
        for name, model in self._models.items():
            comboBox.addItem(self._itemText(model), name)
        comboBox.blockSignals(wasBlocked)

    def _known(self) -> list[storage.StoredModel]:
        """Return the checkpoints that are known here, then those that only the server knows."""
        stored = storage.list_models(self._environment.modelFolder)
        names = {model.card.name for model in stored if model.card is not None}
        cards = [card for card in self._environment.offered.values() if card is not None]
        told = [card for card in cards if card.name not in names]
        return [*stored, *(storage.StoredModel(one.name, storage.ABSENT, card=one) for one in told)]

    def _isAtHand(self, model: storage.StoredModel) -> bool:
        return model.state == storage.READY or self._isOffered(model)

    def _isOffered(self, model: storage.StoredModel) -> bool:
        return model.card is not None and model.card.name in self._environment.offered

    def _itemText(self, model: storage.StoredModel) -> str:
        if model.state == storage.READY:
            return model.title
        if self._isOffered(model):
            return _("{title} (on the server)").format(title=model.title)
        if model.state == storage.DAMAGED:
            return _("{title} (damaged)").format(title=model.title)
        return _("{title} (not on this computer)").format(title=model.title)

    def _showModel(self) -> None:
        comboBox = self._ui.modelComboBox
        index = comboBox.findData(self._parameters.modelName)
        if comboBox.currentIndex != index:
            wasBlocked = comboBox.blockSignals(True)
            comboBox.setCurrentIndex(index)
            comboBox.blockSignals(wasBlocked)
        model = self.model
        absence = self.absence(self._parameters.modelName)
        self._ui.modelNoteLabel.text = _note(model) if model else str(absence)
        self._ui.removeModelButton.enabled = bool(
            model and model.path is not None and not model.shipped
        )

    def _showPart(self, volumeNode) -> None:
        part = self._parameters.part
        isRange = part is SegmentedPart.SLICE_RANGE
        for widget in (
            self._ui.firstSliceSpinBoxLabel,
            self._ui.firstSliceSpinBox,
            self._ui.lastSliceSpinBox,
        ):
            widget.setVisible(isRange)
        isRegion = part is SegmentedPart.REGION
        self._ui.regionSelectorLabel.setVisible(isRegion)
        self._ui.regionSelector.setVisible(isRegion)
        inSequence = volumeNode is not None and browserOf(volumeNode) is not None
        self._ui.allFramesCheckBox.setVisible(inSequence)
        if isRange and volumeNode is not None and self.model is not None:
            self._limitSlices(volumeNode)

    def _limitSlices(self, volumeNode) -> None:
        try:
            volume = readVolume(volumeNode)
        except GDLAError:
            return
        last = int(volume.shape[sliceAxis(volume, self.model.card)]) - 1
        self._ui.firstSliceSpinBox.maximum = last
        self._ui.lastSliceSpinBox.maximum = last

    def _onRegionAdded(self, regionNode) -> None:
        """Put a new region around the whole volume, for the user to drag its sides."""
        if self._parameters is None or self._parameters.inputVolume is None:
            return
        bounds = np.zeros(6)
        self._parameters.inputVolume.GetRASBounds(bounds)
        ends = bounds.reshape(3, 2)
        regionNode.SetCenter(ends.mean(axis=1))
        regionNode.SetSize(ends[:, 1] - ends[:, 0])

    def _onModelSelected(self, index: int) -> None:
        if self._parameters is not None and index >= 0:
            self._parameters.modelName = self._ui.modelComboBox.itemData(index)


def _likelyVolume():
    """Return the volume that the user is most likely to mean: the one that the views show."""
    selectionNode = slicer.app.applicationLogic().GetSelectionNode()
    volumeNodes = [
        node
        for node in _scalarVolumes()
        if not (
            node.IsA("vtkMRMLLabelMapVolumeNode") or node.GetHideFromEditors() or isConfidence(node)
        )
    ]
    active = [one for one in volumeNodes if one.GetID() == selectionNode.GetActiveVolumeID()]
    return next(iter(active or volumeNodes), None)


def _scalarVolumes() -> list:
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def _note(model: storage.StoredModel) -> str:
    card = model.card
    lines = [", ".join(label.name for label in card.labels) + "."]
    if model.problem:
        lines.append(model.problem)
    lines.append(_("License: {license}").format(license=_asSentence(card.provenance.licence)))
    lines += card.provenance.caveats[:1]
    lines.append(_("Not for clinical use."))
    return " ".join(lines)


def _asSentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
