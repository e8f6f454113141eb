"""From what is chosen in the panel to what the logic is asked for."""

from __future__ import annotations

from slicer.i18n import tr as _

from GDLACore.errors import ModelFileError, VolumeError
from GDLACore.remote import RemoteServer
from GDLACore.storage import READY, StoredModel
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.Parameters import Parameters, SegmentedPart
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.ViewedSlice import sliceAt, sliceAxis, viewedPoint
from GDLASegmenterLib.VolumeInput import readVolume


def modelRequest(
    model: StoredModel, device: str, server: RemoteServer | None = None
) -> ModelRequest:
    """Return how the worker is asked for ``model`` on ``device``, or on ``server`` if there is one.

    Without a server its file must be on this computer; with one, its card must be known.
    """
    if server is not None and model.state != READY:
        return ModelRequest(model.card.name, device=device, server=server)
    return ModelRequest(str(model.path), card=model.card_name, device=device, server=server)


def bordersOf(parameters: Parameters) -> str:
    """Return how the network's answers are enlarged: see ``SegmentOptions.borders``."""
    return "smooth" if parameters.smoothBorders else "published"


def regionOf(parameters: Parameters):
    """Return the box outside of which nothing is to be changed, None without one.

    Raises VolumeError if none is chosen yet.
    """
    if parameters.part is not SegmentedPart.REGION:
        return None
    if parameters.region is None:
        raise VolumeError(
            _("No region is chosen."), _("Create a region (ROI) and place it in the views.")
        )
    return parameters.region


def requestOfParameters(
    parameters: Parameters,
    model: StoredModel,
    device: str,
    server: RemoteServer | None = None,
) -> SegmentationRequest:
    """Return the request for what ``parameters`` say, with ``model`` on ``device`` or ``server``.

    Raises VolumeError or ModelFileError if something is not chosen yet, or cannot be used.
    """
    volumeNode = parameters.inputVolume
    if volumeNode is None:
        raise VolumeError(_("No volume is chosen."), _("Load an image, and choose it as volume."))
    if server is None and model.path is None:
        raise ModelFileError(
            _("{title} is not on this computer.").format(title=model.title),
            _("Import its file, or choose another checkpoint."),
        )
    volume = readVolume(volumeNode)
    axis = sliceAxis(volume, model.card)
    point = viewedPoint(volumeNode, axis)
    slices = None
    if parameters.part is SegmentedPart.CURRENT_SLICE:
        if point is None:
            raise VolumeError(
                _("No slice view is shown, so there is no current slice."),
                _("Choose a layout with slice views, or another part."),
            )
        current = sliceAt(volume, axis, point)
        slices = range(current, current + 1)
    elif parameters.part is SegmentedPart.SLICE_RANGE:
        count = volume.shape[axis]
        ends = sorted(min(n, count - 1) for n in (parameters.firstSlice, parameters.lastSlice))
        slices = range(ends[0], ends[1] + 1)
    return SegmentationRequest(
        volumeNode,
        modelRequest(model, device, server),
        model.card,
        outputNode=parameters.segmentation,
        slices=slices,
        regionNode=regionOf(parameters),
        focusRAS=point,
        borders=bordersOf(parameters),
        batchSize=parameters.batchSize or None,
        largestComponent=parameters.largestComponent,
        confidence=parameters.confidence,
    )
