"""The checkpoint that is chosen in the panel of GDLA Segmenter, ready to be asked for slices."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import EngineError, ModelFileError, OutputError, VolumeError
from GDLACore.model.card import ModelCard
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.RequestOfParameters import bordersOf, modelRequest
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.VolumeInput import readVolume


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What slices are asked for with, and where: ``logic`` is the panel's, with its worker."""

    logic: SegmentationLogic
    request: ModelRequest
    card: ModelCard
    borders: str


def chosenModel(volumeNode) -> storage.StoredModel | None:
    """Return the checkpoint that is chosen in GDLA Segmenter, None if there is none.

    Where nobody has chosen a volume there yet, it takes ``volumeNode``, and with it a checkpoint
    that suits it. Raises ModelFileError if the one that is chosen is not known now, and in a Slicer
    that GDLA Segmenter cannot be used in.
    """
    widget = _widget()
    parameters = widget.logic.getParameterNode()
    if widget.panel.parameters is None and parameters.inputVolume is None:
        # The panel chooses when it is shown something, which it is not while it is closed.
        parameters.inputVolume = volumeNode
        widget.panel.setParameters(parameters)
        widget.panel.setParameters(None)
    model = widget.panel.inputs.storedModel(parameters.modelName)
    if model is None and parameters.modelName:
        raise widget.panel.inputs.absence(parameters.modelName)
    return model


def readyCheckpoint(volumeNode) -> Checkpoint:
    """Return the chosen checkpoint for slices of ``volumeNode``.

    Raises ModelFileError if there is none that could be used, EngineError without what runs it,
    ServerError if that is a server whose address is missing or wrong, OutputError while something
    else is being done, VolumeError if it is for other images, or if there is no volume.
    """
    if volumeNode is None:
        raise VolumeError(_("No source volume is chosen."), _("Choose the image to segment."))
    model = chosenModel(volumeNode)
    panel = _widget().panel
    if model is None or model.card is None:
        raise ModelFileError(_("No checkpoint is chosen."), _("Choose one in GDLA Segmenter."))
    isRemote = panel.environment.isRemote
    if not isRemote and model.state != storage.READY:
        raise ModelFileError(
            model.problem or _("{title} is not on this computer.").format(title=model.title),
            _("Choose another checkpoint in GDLA Segmenter, or get this one there."),
        )
    _checkModality(volumeNode, model.card)
    if not isRemote and not panel.environment.isReady:
        raise EngineError(
            _("ONNX Runtime, which runs the networks, is not installed."),
            _("Install it in GDLA Segmenter, under Advanced."),
        )
    if panel.controller.isBusy or panel.logic.isBusy:
        raise OutputError(
            _("GDLA Segmenter is at work."), _("Wait until it is done, or cancel it there.")
        )
    return Checkpoint(
        panel.logic,
        modelRequest(model, panel.environment.device, panel.environment.server),
        model.card,
        bordersOf(_widget().logic.getParameterNode()),
    )


def warmUp(volumeNode) -> None:
    """Have the worker load the chosen checkpoint before it is needed; raises as the above."""
    checkpoint = readyCheckpoint(volumeNode)
    _widget().panel.worker.load(checkpoint.request)


def _widget():
    """Return the widget of GDLA Segmenter, made now if nobody has opened the module yet."""
    isNew = not hasattr(slicer.modules, "GDLASegmenterWidget")
    widget = slicer.util.getModuleWidget("GDLASegmenter")
    if widget.panel is None:
        raise ModelFileError(
            _("GDLA Segmenter cannot be used in this version of 3D Slicer."),
            _("Open GDLA Segmenter, which says what it needs."),
        )
    if isNew:
        widget.exit()  # it takes itself for opened once it is made
    return widget


def _checkModality(volumeNode, card: ModelCard) -> None:
    """Raise VolumeError if DICOM says that this is another kind of image than ``card``'s.

    What the user said of the volume in GDLA Segmenter counts more.
    """
    known = _widget().logic.getParameterNode().modalityKnownOf is volumeNode
    modality = readVolume(volumeNode).modality
    if not known and modality and modality != card.modality:
        raise VolumeError(
            _("{title} is for {right}, and {volume} is {wrong}.").format(
                title=card.title,
                right=card.modality,
                volume=volumeNode.GetName(),
                wrong=modality,
            ),
            _("Choose the volume and a checkpoint for it in GDLA Segmenter."),
        )
