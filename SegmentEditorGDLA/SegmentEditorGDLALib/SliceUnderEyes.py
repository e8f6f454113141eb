"""The slice that is meant by somebody who looks at it and says: this one."""

from __future__ import annotations

from slicer.i18n import tr as _

from GDLACore.errors import VolumeError
from GDLACore.model.card import ModelCard
from GDLASegmenterLib.ViewedSlice import viewOf
from GDLASegmenterLib.VolumeSlices import VolumeSlices


def viewedSlice(volumeNode, card: ModelCard) -> int:
    """Return the stored slice of ``volumeNode`` that the user looks at.

    Of several views, the one that everything else in GDLA Segmenter takes as well. Raises
    VolumeError if it does not show one of those slices that ``card``'s model looks at, and only
    that one.
    """
    slices, name = VolumeSlices.of(volumeNode, card), volumeNode.GetName()
    sliceNode = viewOf(volumeNode, slices)
    seen = None if sliceNode is None else slices.seenIn(sliceNode)
    if seen is None or not seen.isAlong:
        raise VolumeError(
            _("No slice view is along the slices of {name} that the model looks at.").format(
                name=name
            ),
            _("Show such a view: most often the axial one."),
        )
    if seen.isTilted:
        raise VolumeError(
            _("The slice view is tilted against the slices of {name}.").format(name=name),
            _("Rotate it to the volume's plane, so that all of the slice is seen."),
        )
    if seen.index is None:
        raise VolumeError(
            _("The slice view shows nothing of {name}.").format(name=name),
            _("Scroll to where the image is."),
        )
    return seen.index
