"""The slice that is meant by somebody who looks at it and says: this one."""

from __future__ import annotations

import slicer.util
from slicer.i18n import tr as _

from GDLACore.errors import VolumeError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.VolumeSlices import VolumeSlices

_SHOWS_SLICES = 0.7  # cosine between the view's normal and the slices'
_IN_SLICE = 0.5  # slices: further from its middle, another slice is seen


def viewedSlice(volumeNode, card: ModelCard) -> int:
    """Return the stored slice of ``volumeNode`` that the user looks at.

    Raises VolumeError if no slice view shows one of those that ``card``'s model looks at, and only
    that one.
    """
    slices, name = VolumeSlices.of(volumeNode, card), volumeNode.GetName()
    views = [
        slices.seenIn(sliceNode)
        for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode", volumeNode.GetScene())
        if sliceNode.IsMappedInLayout()
    ]
    best = max(views, key=lambda view: view.alignment, default=None)
    if best is None or best.alignment <= _SHOWS_SLICES:
        raise VolumeError(
            _("No slice view is along the slices of {name} that the model looks at.").format(
                name=name
            ),
            _("Show such a view: most often the axial one."),
        )
    if best.spread > _IN_SLICE:
        raise VolumeError(
            _("The slice view is tilted against the slices of {name}.").format(name=name),
            _("Rotate it to the volume's plane, so that all of the slice is seen."),
        )
    if best.index is None:
        raise VolumeError(
            _("The slice view shows nothing of {name}.").format(name=name),
            _("Scroll to where the image is."),
        )
    return best.index
