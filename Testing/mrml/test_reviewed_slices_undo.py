"""Undoing runs, and what is drawn or released before and after, is told from edits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util
from edited_run import FIRST, SECOND, SHAPE, THIRD, recorded
from editing import reviewed
from phantom import make_card
from segmenting import Bench

from GDLASegmenterLib.LabelLayer import LABELMAP
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


@pytest.fixture
def node(bench, volume_node, editor):
    """A segmentation with two runs, of which the second can be undone."""
    node = bench.segment(volume_node).segmentationNode
    editor.edit(node)
    bench.segment(volume_node, outputNode=node)
    assert reviewed(node, volume_node).protected == frozenset()
    return node


def test_a_stroke_after_undoing_a_run(volume_node, editor, node):
    editor.logic.Undo()
    editor.dot(node, "liver", (4, 3, 4))
    assert reviewed(node, volume_node).edited == {4}
    np.testing.assert_array_equal(recorded(node), FIRST)
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()


def test_a_stroke_after_undoing_a_stroke_and_a_run(volume_node, editor, node):
    editor.dot(node, "liver", (2, 3, 4))
    editor.logic.Undo()
    editor.logic.Undo()
    editor.dot(node, "liver", (4, 3, 4))
    assert reviewed(node, volume_node).edited == {4}


def test_a_stroke_after_doing_a_run_again(volume_node, editor, node):
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()
    editor.logic.Redo()
    editor.dot(node, "liver", (4, 3, 4))
    assert reviewed(node, volume_node).edited == {4}
    np.testing.assert_array_equal(recorded(node), SECOND)


def test_strokes_in_several_slices_after_undoing_two_runs(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node, slices=range(2, 5))
    editor.logic.Undo()
    editor.logic.Undo()
    for index in (0, 5):
        editor.dot(node, "liver", (index, 3, 4))
    assert reviewed(node, volume_node).edited == {0, 5}
    np.testing.assert_array_equal(recorded(node), FIRST)


def test_what_was_released_before_the_run_is_edited_by_the_stroke(bench, volume_node, editor, node):
    editor.dot(node, "liver", (2, 3, 4))
    editor.dot(node, "liver", (3, 3, 4))
    for index in (2, 3):
        reviewed(node, volume_node).release(index)
    bench.segment(volume_node, outputNode=node)
    editor.logic.Undo()
    editor.dot(node, "liver", (2, 0, 0))
    assert reviewed(node, volume_node).edited == {2}
    np.testing.assert_array_equal(recorded(node), SECOND)


def test_a_run_after_it_leaves_the_stroke(bench, volume_node, editor, node):
    editor.logic.Undo()
    editor.dot(node, "liver", (4, 3, 4))
    run = bench.segment(volume_node, outputNode=node)
    assert run.reviewedSlices == 1 and reviewed(node, volume_node).edited == {4}


@pytest.mark.parametrize("steps", range(1, 2 * SHAPE[0]))
def test_segments_that_are_on_another_grid_for_a_while_do_no_harm(volume_node, editor, node, steps):
    editor.logic.Undo()
    found = ReviewedSlices(node, volumeGrid(volume_node), 0)
    looking = found.refresh()
    for _ in range(steps):
        next(looking, None)
    segment = node.GetSegmentation().GetNthSegment(0)
    image, elsewhere = segment.GetRepresentation(LABELMAP), slicer.vtkOrientedImageData()
    elsewhere.DeepCopy(image)
    elsewhere.SetSpacing(1.3, 1.3, 1.3)
    segment.AddRepresentation(LABELMAP, elsewhere)
    for _ in looking:
        pass
    segment.AddRepresentation(LABELMAP, image)
    assert reviewed(node, volume_node).protected == frozenset()


def test_doing_again_several_runs_gives_back_what_each_left(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    editor.dot(node, "liver", (1, 3, 4))
    reviewed(node, volume_node).release(1)
    for act in (editor.logic.Undo,) * 3:
        act()
    assert reviewed(node, volume_node).edited == frozenset()
    np.testing.assert_array_equal(recorded(node), FIRST)
    editor.logic.Redo()
    assert reviewed(node, volume_node).edited == frozenset()
    np.testing.assert_array_equal(recorded(node), SECOND)
    editor.logic.Redo()
    assert reviewed(node, volume_node).edited == frozenset()
    np.testing.assert_array_equal(recorded(node), THIRD)


def test_undoing_a_run_that_was_cleaned_up_is_no_edit(scene, volume_node, editor):
    mess = np.zeros(SHAPE, np.uint8)
    mess[1:4, 1:4, 1:4] = 1
    mess[5, 6, 7] = 1
    bench = Bench(scene, lambda volume: mess, save_state_for_undo=editor.save_state)
    node = bench.segment(volume_node).segmentationNode
    editor.edit(node)
    bench.segment(volume_node, outputNode=node, largestComponent=True)
    assert not recorded(node)[5].any() and recorded(node)[2].any()
    for act in (editor.logic.Undo, editor.logic.Redo) * 2:
        act()
        assert reviewed(node, volume_node).protected == frozenset()


def test_releasing_a_slice_releases_the_edits_of_all_models(scene, volume_node, editor, node):
    other = dataclasses.replace(make_card(("vein", "duct")), name="vessels")
    Bench(scene, lambda volume: FIRST % 3, other).segment(volume_node, outputNode=node)
    for name in ("liver", "vein"):
        editor.dot(node, name, (4, 3, 4))
    found = reviewed(node, volume_node)
    assert found.editedOf("abdomen") == found.editedOf("vessels") == {4}
    found.release(4)
    assert found.protected == frozenset()
    for name in ("liver", "vein"):
        editor.dot(node, name, (1, 3, 4))  # whoever looks again leaves it released
    assert reviewed(node, volume_node).protected == {1}
