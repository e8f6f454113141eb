"""A segmentation that a run has made, open in Segment Editor, and what later runs would make."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from editing import Editor
from nodes import add_volume
from phantom import make_card
from segmenting import Bench, label_map

from GDLASegmenterLib.ModelRecord import recordOf

SHAPE = (6, 7, 8)
_GENERATOR = np.random.default_rng(3)
FIRST, SECOND, THIRD = (_GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(3))
VOXEL = (2, 3, 4)


@pytest.fixture
def volume_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(FIRST.astype(np.int16))


@pytest.fixture
def editor(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Editor:
    return Editor(scene, volume_node, SHAPE)


@pytest.fixture
def bench(scene: slicer.vtkMRMLScene, editor: Editor) -> Bench:
    """A logic whose runs make ``FIRST``, ``SECOND`` and so on; the editor can undo them."""
    results = iter([FIRST, SECOND, THIRD, FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results), save_state_for_undo=editor.save_state)


@pytest.fixture
def node(
    bench: Bench, volume_node: slicer.vtkMRMLScalarVolumeNode, editor: Editor
) -> slicer.vtkMRMLSegmentationNode:
    """What the first run has made of the volume, in the editor."""
    node = bench.segment(volume_node).segmentationNode
    editor.edit(node)
    return node


def labels_in(node: slicer.vtkMRMLSegmentationNode) -> np.ndarray:
    """Return the labels [k, j, i] that the segments are now."""
    return label_map(node, make_card(), SHAPE)


def recorded(node: slicer.vtkMRMLSegmentationNode) -> np.ndarray:
    """Return the labels [k, j, i] that runs have left, as their record has them."""
    return slicer.util.arrayFromVolume(recordOf(node, "abdomen").node)


def kept(before: np.ndarray, after: np.ndarray, *slices: int) -> np.ndarray:
    """Return ``after`` but with ``slices`` of ``before``."""
    expected = after.copy()
    expected[list(slices)] = before[list(slices)]
    return expected
