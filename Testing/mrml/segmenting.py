"""What tests of the segmentation logic share: a worker on demand, runs, voxels to compare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from vtk.util.numpy_support import vtk_to_numpy

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing" / "core"), str(ROOT / "GDLASegmenter")]

from phantom import make_card  # noqa: E402
from scripted_worker import ScriptedWorker  # noqa: E402

from GDLACore.imaging.volume import Volume  # noqa: E402
from GDLACore.model.card import ModelCard  # noqa: E402
from GDLACore.worker import ModelRequest  # noqa: E402
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic  # noqa: E402
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest  # noqa: E402
from GDLASegmenterLib.SegmentationRun import SegmentationRun  # noqa: E402

LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
MODEL = ModelRequest("abdomen")


def values_as_labels(volume: Volume) -> np.ndarray:
    """Find in a volume the labels that are its values."""
    return np.asarray(volume.array).astype(np.uint8)


class Bench:
    """A logic with a scripted worker over the scene, and a volume whose values are its labels."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        labels: Callable[[Volume], np.ndarray] = values_as_labels,
        card: ModelCard | None = None,
        batch: int = 2,
        save_state_for_undo: Callable[[slicer.vtkMRMLSegmentationNode], None] | None = None,
    ) -> None:
        self.card = card or make_card()
        self.worker = ScriptedWorker(labels, self.card, batch=batch)
        self.undo_states: list[slicer.vtkMRMLSegmentationNode] = []
        self.logic = SegmentationLogic(
            self.worker, scene, save_state_for_undo or self.undo_states.append
        )

    def request(self, volume_node: slicer.vtkMRMLVolumeNode, **options) -> SegmentationRequest:
        return SegmentationRequest(volume_node, MODEL, self.card, **options)

    def begin(self, volume_node: slicer.vtkMRMLVolumeNode, **options) -> SegmentationRun:
        return self.logic.segment(self.request(volume_node, **options))

    def segment(self, volume_node: slicer.vtkMRMLVolumeNode, **options) -> SegmentationRun:
        """Segment to the end, which must be a good one."""
        run = self.to_the_end(self.begin(volume_node, **options))
        assert run.error is None, run.error
        return run

    def to_the_end(self, run: SegmentationRun) -> SegmentationRun:
        for _ in range(1000):
            if run.isOver:
                return run
            self.update()
        raise AssertionError(f"the run is still {run.state}")

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.update()
        raise AssertionError("the condition never held")

    def update(self) -> None:
        """Let the worker take one step, and do at once what a busy machine leaves for later.

        Else two batches of slices could be written in one update, between which a test acts.
        """
        self.logic.update()
        while self.logic.run is not None and self.logic.run.advance():
            pass


def voxels(node: slicer.vtkMRMLSegmentationNode, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the segment called ``name`` as booleans [k, j, i] on a grid of ``shape`` at 0, 0, 0.

    Read from the segment's own layer, in its extent, without resampling anything.
    """
    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName(name))
    image = segment.GetRepresentation(LABELMAP)
    whole = np.zeros(shape, bool)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    if i0 <= i1 and j0 <= j1 and k0 <= k1:
        values = vtk_to_numpy(image.GetPointData().GetScalars())
        box = values.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
        whole[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = box == segment.GetLabelValue()
    return whole


def label_map(
    node: slicer.vtkMRMLSegmentationNode, card: ModelCard, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the labels [k, j, i] of the card's structures, found by the segments' names."""
    labels = np.zeros(shape, np.uint8)
    for label in card.labels:
        labels[voxels(node, label.name, shape)] = label.value
    return labels


def stray_values(node: slicer.vtkMRMLSegmentationNode) -> set[int]:
    """Return the values in layers of ``node`` that belong to no segment there.

    The next segment that gets such a value would have those voxels from the start.
    """
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(one) for one in segmentation.GetSegmentIDs()]
    stray: set[int] = set()
    for image in {segment.GetRepresentation(LABELMAP) for segment in segments}:
        owned = [s.GetLabelValue() for s in segments if s.GetRepresentation(LABELMAP) is image]
        scalars = image.GetPointData().GetScalars()
        found = np.unique(vtk_to_numpy(scalars)) if image.GetNumberOfPoints() else []
        stray |= {int(value) for value in found} - {0, *owned}
    return stray
