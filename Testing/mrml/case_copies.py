"""Cases copied out of the scene, and a scan with what a model made of it to copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from phantom import make_card
from segmenting import Bench

from GDLACore.training_set import CorrectedCase, add_case
from GDLASegmenterLib.CaseLabels import caseLabels
from GDLASegmenterLib.CaseSnapshot import Case, copyInSteps

CARD = make_card()
SIZE = (6, 7, 8)
LABELS = np.random.default_rng(5).integers(0, 4, SIZE).astype(np.uint8)


def segmented(volume_node: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """Return what the model makes of a volume whose values are its labels."""
    bench = Bench(volume_node.GetScene(), card=CARD)
    node = bench.segment(volume_node).segmentationNode
    bench.logic.cleanup()
    return node


def segment(node: slicer.vtkMRMLSegmentationNode, name: str) -> slicer.vtkSegment:
    segmentation = node.GetSegmentation()
    return segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName(name))


def copied(
    volume_node: slicer.vtkMRMLVolumeNode, segmentation_node: slicer.vtkMRMLSegmentationNode
) -> Case:
    steps = copyInSteps(volume_node, segmentation_node, CARD)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def labels_of(case: Case) -> np.ndarray:
    return caseLabels(case.layers, case.volume.shape, case.card, case.segmentationName)


def added(folder: Path, case: Case) -> CorrectedCase:
    settings = {"patient": "0" * 16, "axis": case.axis, "reviewed": None}
    return add_case(folder, case.volume, labels_of(case), case.structures, case.card, **settings)
