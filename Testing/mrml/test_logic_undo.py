"""Undo and redo of a run with Slicer's own history of the Segment Editor."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from segmenting import Bench, addManualSegment, labelMap, voxels

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = (GENERATOR.integers(0, 2, SHAPE) == 1) & (FIRST == 0)


@pytest.fixture
def volumeNode(scene):
    return slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="CT")


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND, FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results))


@pytest.fixture
def node(bench, volumeNode):
    node = bench.segment(volumeNode).segmentationNode
    addManualSegment(node, volumeNode, "by hand", MANUAL)
    return node


@pytest.fixture
def editor(scene, bench, volumeNode, node):
    """The history behind the Segment Editor's Undo button, on the segmentation."""
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    logic.SetSegmentationNode(node)
    logic.SetSourceVolumeNode(volumeNode)
    bench.logic._saveStateForUndo = lambda segmentationNode: logic.SaveStateForUndo()
    return logic


def mixed(slices):
    labels = FIRST.copy()
    labels[slices] = SECOND[slices]
    return labels


def test_one_undo_takes_a_whole_run_back_and_redo_brings_it_again(bench, volumeNode, node, editor):
    assert not editor.CanUndo()
    bench.segment(volumeNode, outputNode=node)
    assert editor.CanUndo()
    editor.Undo()
    assert not editor.CanUndo(), "one state per run"
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    editor.Redo()
    assert not editor.CanRedo()
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), SECOND)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_every_run_is_undone_by_itself(bench, volumeNode, node, editor):
    bench.segment(volumeNode, outputNode=node, slices=range(2))
    bench.segment(volumeNode, outputNode=node, slices=range(1))
    editor.Undo()
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), mixed(slice(0, 2)))
    editor.Undo()
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)


def test_a_run_after_an_undo_writes_to_what_the_undo_restored(bench, volumeNode, node, editor):
    bench.segment(volumeNode, outputNode=node)
    editor.Undo()
    bench.segment(volumeNode, outputNode=node)  # finds FIRST again
    bench.segment(volumeNode, outputNode=node, slices=range(2, 4))
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), mixed(slice(2, 4)))


def test_an_undo_in_the_middle_of_a_run_does_not_stop_the_slices_after_it(
    bench, volumeNode, node, editor
):
    run = bench.begin(volumeNode, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    editor.Undo()
    bench.toTheEnd(run)
    assert run.error is None
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), mixed(slice(2, 6)))
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_a_new_node_needs_no_undo_state(scene, bench, volumeNode):
    bench.segment(volumeNode)
    assert bench.undoStates == []
