"""A volume, its segmentation, and how tests write how sure the model is of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_segmentation, add_volume

from GDLASegmenterLib.ConfidenceVolume import confidenceNode, confidenceSteps
from GDLASegmenterLib.VolumeGrid import VolumeGrid, volumeGrid

SHAPE = (6, 7, 8)


@pytest.fixture
def volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(np.zeros(SHAPE, np.int16), np.diag([0.75, 1.5, 4, 1]))


@pytest.fixture
def segmentation(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    return segmentation_of(volume)


def segmentation_of(
    volume: slicer.vtkMRMLVolumeNode, name: str = "organs"
) -> slicer.vtkMRMLSegmentationNode:
    node = add_segmentation(volume, {}, name)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())
    return node


def sure(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Return a confidence [k, j, i] from 0 to 1, another one for every ``seed``."""
    return np.random.default_rng(seed).random(shape).astype(np.float16)


def write(
    segmentation: slicer.vtkMRMLSegmentationNode,
    volume: slicer.vtkMRMLVolumeNode | VolumeGrid,
    confidence: np.ndarray | None = None,
    axis: int = 0,
    indices: Iterable[int] | None = None,
) -> slicer.vtkMRMLVolumeNode:
    """Write ``confidence`` to the end, and return its volume."""
    grid = volume if isinstance(volume, VolumeGrid) else volumeGrid(volume)
    confidence = sure(grid.shape) if confidence is None else confidence
    indices = range(grid.shape[axis]) if indices is None else indices
    for _ in confidenceSteps(segmentation, grid, confidence, axis, indices):
        pass
    return confidenceNode(segmentation)


def percent_of(confidence: np.ndarray) -> np.ndarray:
    return np.rint(100 * confidence.astype(float)).clip(1, 100)


def values(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    return slicer.util.arrayFromVolume(node)
