"""One click of the effect: the labels of the slice under the eyes are asked for, and written."""

from __future__ import annotations

import logging
from collections.abc import Generator

import numpy as np
from slicer.i18n import tr as _

from GDLACore.errors import GDLAError, OutputError
from GDLACore.model.card import Label, ModelCard
from GDLASegmenterLib.LabelLayer import sameGrid
from GDLASegmenterLib.ModelLayers import modelLayers
from GDLASegmenterLib.ModelRecord import recordOf
from GDLASegmenterLib.ModelSegments import addSegments, findSegments, labelTags
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.SliceMarks import readMarks
from GDLASegmenterLib.SlicePreviews import SlicePreview
from GDLASegmenterLib.VolumeGrid import VolumeGrid, checkOutput, sameTransform, volumeGrid
from GDLASegmenterLib.VolumeSlices import VolumeSlices
from SegmentEditorGDLALib.Checkpoint import Checkpoint
from SegmentEditorGDLALib.SliceEdit import editInSteps

_log = logging.getLogger(__name__)


class SliceSegmentation:
    """What is going on, from the click to the last voxel, without anybody waiting for it.

    ``index`` is the stored slice along the axis that the checkpoint's model slices. ``label`` is
    the structure that the selected segment is to show; None stands for all structures of the
    checkpoint, each in the segment that its model made, which is added if there is none.
    ``text`` says what goes on, or what came of it; ``error`` is set if it failed. Call ``advance``
    from a timer until ``isOver``.

    It is the user's own edit: a slice that a model's run would not change because the user edited
    it is written. One that the user ticked as reviewed is not, nor are voxels of slices along other
    axes that are ticked.

    Raises VolumeError or OutputError if it cannot begin.
    """

    def __init__(self, effect, checkpoint: Checkpoint, index: int, label: Label | None) -> None:
        node = effect.parameterSetNode()
        volumeNode = node.GetSourceVolumeNode()
        self._volumeID = volumeNode.GetID()
        self.error: GDLAError | None = None
        self.isOver = False
        self._effect = effect
        self._label = label
        self._index = index
        self._previews = checkpoint.logic.previews
        self._segmentationNode = node.GetSegmentationNode()
        self._segmentID = node.GetSelectedSegmentID()
        self._steps: Generator[None, None, int] | None = None
        axis = VolumeSlices.of(volumeNode, checkpoint.card).axis
        self._check(volumeGrid(volumeNode), checkpoint.card, axis)
        self.text = self._asking = _("Segmenting slice {index}…").format(index=index)
        self._previews.want(
            *(volumeNode, checkpoint.request, checkpoint.card, checkpoint.borders, index),
            *(self._onLabels, self._fail),
        )

    def advance(self) -> None:
        """Write the next piece of what has come, which takes as long as a stroke of the brush."""
        if self.isOver:
            return
        if self._steps is None:
            self.text = self._previews.waiting or self._asking
            return
        try:
            next(self._steps)
        except StopIteration as end:
            self.isOver = True
            self.text = " ".join([self._result(end.value), *self._previews.warnings])
        except GDLAError as error:
            self._fail(error)
        except Exception as error:  # shown once, instead of at every tick of a timer
            _log.exception("The slice could not be written")
            self._fail(
                GDLAError(
                    _("The slice could not be written ({error}).").format(
                        error=type(error).__name__
                    ),
                    _("Undo, and report this with the log."),
                )
            )

    def finish(self) -> None:
        """Come to an end now: nothing is left half written, and what has not come is not awaited.

        It is for when the effect is left, after which the user may paint with another.
        """
        self._previews.drop(self._onLabels)
        while self._steps is not None and not self.isOver:
            self.advance()
        if not self.isOver:
            self.isOver, self.text = True, ""

    def _onLabels(self, preview: SlicePreview) -> None:
        self._steps = self._writing(preview)

    def _fail(self, error: GDLAError) -> None:
        self.isOver, self.error = True, error
        self.text = str(error)

    def _writing(self, preview: SlicePreview) -> Generator[None, None, int]:
        self._checkStill(preview)
        yield from self._recording(preview)
        self._checkStill(preview)
        self.text = _("Writing slice {index}…").format(index=self._index)
        self._effect.saveStateForUndo()
        segmentIDs, free = self._segmentIDs(preview), self._free(preview)
        return (yield from editInSteps(self._effect, preview, segmentIDs, free))

    def _recording(self, preview: SlicePreview) -> Generator[None, None, None]:
        """Record what the model's segments hold if nobody has yet, so that all else is an edit.

        The first one to look would otherwise take what is about to be written for a run's. Nothing
        is on record any more of segments that were removed and are about to come back with this
        slice alone: all others would seem to have been erased.
        """
        reviewed = ReviewedSlices(self._segmentationNode, preview.grid, preview.axis)
        record, tags = recordOf(self._segmentationNode, preview.card.name), labelTags(preview.card)
        missing = self._missing(preview)
        isLacking = record is None or not tags.keys() <= record.labels.keys()
        if self._label is None and (isLacking or missing):
            record, _isNew = yield from reviewed.recordFor(preview.card)
            yield from record.forget([label.value for label in missing])
        else:
            yield from reviewed.recordOthers()

    def _checkStill(self, preview: SlicePreview) -> None:
        """Raise OutputError if the slice must not be written any more, or not there."""
        node = self._effect.parameterSetNode()
        if node is None or node.GetSegmentationNode() is not self._segmentationNode:
            raise OutputError(_("Another segmentation is edited now: nothing was changed."))
        volumeNode = node.GetSourceVolumeNode()
        if volumeNode is None or volumeNode.GetID() != self._volumeID:
            raise OutputError(_("Another source volume is chosen now: nothing was changed."))
        self._check(preview.grid, preview.card, preview.axis)

    def _check(self, grid: VolumeGrid, card: ModelCard, axis: int) -> None:
        """Raise OutputError if the slice must not, or cannot, be written."""
        node = self._segmentationNode
        if node is None:
            raise OutputError(
                _("No segmentation is chosen."), _("Choose one, or create a new one.")
            )
        segment = node.GetSegmentation().GetSegment(self._segmentID) if self._segmentID else None
        if self._label is not None and segment is None:
            raise OutputError(_("No segment is selected."), _("Select one, or add one."))
        checkOutput(node, grid, card)
        # An empty segmentation passes that in any place, because a run would put it in its own.
        edited = self._effect.referenceGeometryImage()
        if edited is None or not sameGrid(edited, grid.IJKToRAS) or not sameTransform(node, grid):
            raise OutputError(
                _("{segmentation} is edited elsewhere, or in other voxels, than {volume}.").format(
                    segmentation=node.GetName(), volume=grid.volumeName
                ),
                _(
                    "Put both under the same transform, and set the segmentation's geometry to "
                    "the volume's (the button beside Source volume)."
                ),
            )
        marks = readMarks(node, grid)
        if marks is None:
            raise OutputError(
                _(
                    "{segmentation} has reviewed slices on another voxel grid than that of "
                    "{volume}."
                ).format(segmentation=node.GetName(), volume=grid.volumeName),
                _("Choose another segmentation, or create a new one."),
            )
        if (axis, self._index) in marks.ticked:
            raise OutputError(
                _("You ticked slice {index} as reviewed.").format(index=self._index),
                _("Take the tick away in GDLA Segmenter, under Review, to have it changed."),
            )

    def _free(self, preview: SlicePreview) -> np.ndarray:
        """Return which pixels of the slice are in no slice along another axis that is ticked."""
        free = np.ones(preview.labels.shape, bool)
        for axis, index in readMarks(self._segmentationNode, preview.grid).ticked:
            if axis != preview.axis and 0 <= index < preview.grid.shape[axis]:
                line = free if axis == min({0, 1, 2} - {preview.axis}) else free.T
                line[index] = False
        return free

    def _segmentIDs(self, preview: SlicePreview) -> dict[int, str]:
        """Return which segments are to be written, by label; those that are missing are made."""
        if self._label is not None:
            return {self._label.value: self._segmentID}
        segmentation, card = self._segmentationNode.GetSegmentation(), preview.card
        missing = self._missing(preview)
        if missing:
            # In a layer with others, a new segment could be given the value of one of them.
            layers = modelLayers(segmentation, card)
            own = next((layer for layer in layers if not layer.others(segmentation)), None)
            addSegments(segmentation, card, missing, own, preview.grid.IJKToRAS)
        return findSegments(segmentation, card)

    def _missing(self, preview: SlicePreview) -> list[Label]:
        """Return the structures in the slice that have no segment yet."""
        found = findSegments(self._segmentationNode.GetSegmentation(), preview.card)
        return [
            label
            for label in preview.card.labels
            if label.value not in found and (preview.labels == label.value).any()
        ]

    def _result(self, changed: int) -> str:
        if not changed:
            return _("Slice {index}: nothing to change, as far as editing is allowed.").format(
                index=self._index
            )
        return _("Slice {index}: {count} voxels changed.").format(index=self._index, count=changed)
