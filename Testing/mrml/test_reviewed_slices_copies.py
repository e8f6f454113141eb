"""What is done in a segmentation changes nothing of what is reviewed in a copy of it."""

from __future__ import annotations

import numpy as np
import pytest
from edited_run import SECOND, VOXEL, labels_in
from editing import reviewed

from GDLASegmenterLib.ModelRecord import recordOf, recordsOf
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


def copied(node):
    copy = node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.Copy(node)
    copy.SetName("copy")
    return copy


def test_releasing_an_edit_in_the_copy_leaves_the_original_its_own(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    assert reviewed(node, volume_node).edited == {2}
    copy, before = copied(node), labels_in(node)
    reviewed(copy, volume_node).release(2)
    assert reviewed(copy, volume_node).protected == frozenset()
    assert reviewed(node, volume_node).edited == {2}
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node)[2], before[2])


@pytest.mark.parametrize("looked", ["original first", "copy first"])
def test_undoing_a_run_in_the_original_is_no_edit_in_either(
    bench, volume_node, editor, node, looked
):
    bench.segment(volume_node, outputNode=node)
    both = [node, copied(node)]
    if looked == "copy first":
        reviewed(both[1], volume_node)
    editor.logic.Undo()
    for one in both:
        assert reviewed(one, volume_node).edited == frozenset()
    assert recordOf(both[0], "abdomen").node is not recordOf(both[1], "abdomen").node
    np.testing.assert_array_equal(labels_in(both[1]), SECOND)


def test_undoing_a_run_is_no_edit_after_a_run_in_the_copy(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    bench.segment(volume_node, outputNode=copied(node))
    for act in (editor.logic.Undo, editor.logic.Redo):
        act()
        assert reviewed(node, volume_node).edited == frozenset()


def test_copying_while_a_run_is_going_on_leaves_both_as_they_should_be(
    bench, volume_node, editor, node
):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    copy = copied(node)
    before = labels_in(copy)
    bench.to_the_end(run)
    assert run.error is None and run.reviewedSlices == 0
    np.testing.assert_array_equal(labels_in(node), SECOND)
    np.testing.assert_array_equal(labels_in(copy), before)
    for one in (node, copy):
        assert reviewed(one, volume_node).edited == frozenset()
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()


def test_two_who_look_at_the_same_time_make_one_record_of_its_own(volume_node, node):
    copy = copied(node)
    grid = volumeGrid(volume_node)
    first, second, other = (ReviewedSlices(one, grid, 0).refresh() for one in (copy, copy, node))
    for looking in (first, second, other):
        next(looking)
    for looking in (second, other, first):
        for _ in looking:
            pass
    assert len(recordsOf(copy)) == len(recordsOf(node)) == 1
    assert node.GetScene().GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 2
    assert recordOf(copy, "abdomen").node is not recordOf(node, "abdomen").node
