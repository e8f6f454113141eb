"""Undo and redo of a run with Slicer's own history of the Segment Editor."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_segment
from segmenting import Bench, label_map, voxels

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = (GENERATOR.integers(0, 2, SHAPE) == 1) & (FIRST == 0)


@pytest.fixture
def volume_node(scene):
    return slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="CT")


@pytest.fixture
def editor(scene, volume_node):
    """The history behind the Segment Editor's Undo button."""
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    logic.SetSourceVolumeNode(volume_node)
    return logic


@pytest.fixture
def bench(scene, editor):
    results = iter([FIRST, SECOND, FIRST, SECOND])
    return Bench(
        scene,
        labels=lambda volume: next(results),
        save_state_for_undo=lambda node: editor.SaveStateForUndo(),
    )


@pytest.fixture
def node(bench, volume_node, editor):
    node = bench.segment(volume_node).segmentationNode
    add_segment(node, volume_node, "by hand", MANUAL)
    editor.SetSegmentationNode(node)
    return node


def mixed(slices):
    labels = FIRST.copy()
    labels[slices] = SECOND[slices]
    return labels


def test_one_undo_takes_a_whole_run_back_and_redo_brings_it_again(bench, volume_node, node, editor):
    assert not editor.CanUndo()
    bench.segment(volume_node, outputNode=node)
    assert editor.CanUndo()
    editor.Undo()
    assert not editor.CanUndo(), "one state per run"
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    editor.Redo()
    assert not editor.CanRedo()
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_every_run_is_undone_by_itself(bench, volume_node, node, editor):
    bench.segment(volume_node, outputNode=node, slices=range(2))
    bench.segment(volume_node, outputNode=node, slices=range(1))
    editor.Undo()
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(0, 2)))
    editor.Undo()
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_a_run_after_an_undo_writes_to_what_the_undo_restored(bench, volume_node, node, editor):
    bench.segment(volume_node, outputNode=node)
    editor.Undo()
    bench.segment(volume_node, outputNode=node)  # finds FIRST again
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(2, 4)))


def test_an_undo_in_the_middle_of_a_run_does_not_stop_the_slices_after_it(
    bench, volume_node, node, editor
):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    editor.Undo()
    bench.to_the_end(run)
    assert run.error is None
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(2, 6)))
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_a_new_node_needs_no_undo_state(scene, volume_node):
    bench = Bench(scene)
    bench.segment(volume_node)
    assert bench.undo_states == []


def test_undo_of_a_stroke_after_a_clean_up_does_not_bring_small_parts_back(
    scene, volume_node, editor
):
    whole = np.full(SHAPE, 3, np.uint8)  # so that the layer is not cropped at the end
    whole[1:5, 1:6, 1:7] = 0
    whole[2:4, 2:4, 2:4] = 1
    whole[4, 5, 6] = 1
    bench = Bench(
        scene,
        labels=lambda volume: whole,
        save_state_for_undo=lambda node: editor.SaveStateForUndo(),
    )
    node = bench.segment(volume_node).segmentationNode
    editor.SetSegmentationNode(node)
    run = bench.begin(volume_node, outputNode=node, largestComponent=True)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    editor.SaveStateForUndo()  # a stroke before the clean-up, of which the history keeps a copy
    bench.to_the_end(run)
    clean = label_map(node, bench.card, SHAPE)
    assert clean[4, 5, 6] == 0
    editor.SaveStateForUndo()
    add_segment(node, volume_node, "dot", whole == 0)
    editor.Undo()
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), clean)
