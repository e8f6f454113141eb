"""What tests of the Segment Editor effect share: an editor over a segmentation of three slabs."""

from __future__ import annotations

import sys

import numpy as np
import segment_editor
import slicer
from nodes import add_segmentation, add_volume
from segmenting import ROOT

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.SlicePreviews import SlicePreview
from GDLASegmenterLib.VolumeGrid import volumeGrid

sys.path.append(str(ROOT / "SegmentEditorGDLA"))
segment_editor.install()

from SegmentEditorGDLALib.SliceEdit import editInSteps  # noqa: E402

SHAPE = (5, 12, 12)
SPACING = np.diag([2.0, 2.0, 3.0, 1.0])
NAMES = ("liver", "spleen", "aorta")


class EffectBench:
    """``volume`` is a ramp along i; of ``node``, liver and spleen lie side by side along j."""

    def __init__(self, scene: slicer.vtkMRMLScene, card: ModelCard) -> None:
        self.card = card
        ramp = np.broadcast_to(np.arange(SHAPE[2], dtype=np.int16) * 10, SHAPE)
        self.volume = add_volume(ramp.copy(), SPACING)
        self.node = add_segmentation(self.volume, {name: mask(n) for n, name in enumerate(NAMES)})
        self.editor = segment_editor.Editor(scene)
        self.editor.open(self.node, self.volume, "liver")
        self.effect = segment_editor.ScriptedEffect(self.editor)

    def ids(self, *names: str) -> dict[int, str]:
        """Return the IDs of the segments called so, by the card's label."""
        segmentation = self.node.GetSegmentation()
        return {
            label.value: segmentation.GetSegmentIdBySegmentName(label.name)
            for label in self.card.labels
            if label.name in (names or NAMES)
        }

    def answer(self, labels: np.ndarray, index: int = 2, axis: int = 0) -> SlicePreview:
        return SlicePreview(volumeGrid(self.volume), self.card, axis, index, labels)

    def edit(self, answer: SlicePreview, *names: str, free: np.ndarray | None = None) -> int:
        """Let the effect do everything, and return how many voxels it says have changed."""
        free = np.ones(answer.labels.shape, bool) if free is None else free
        steps = editInSteps(self.effect, answer, self.ids(*names), free)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value


def mask(row: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Return the ``row``-th of three slabs, three voxels high, that fill all slices."""
    filled = np.zeros(shape, bool)
    filled[:, 1 + 3 * row : 4 + 3 * row, 1:-1] = True
    return filled


def slabs(down: int = 0) -> np.ndarray:
    """Return labels of a slice in which all three slabs lie ``down`` voxels further along j."""
    labels = np.zeros(SHAPE[1:], np.uint8)
    for row in range(3):
        labels[1 + 3 * row + down : 4 + 3 * row + down, 1:-1] = row + 1
    return labels
