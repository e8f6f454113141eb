"""Which slices of a segmentation count as reviewed by the user, and until when."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from edited_run import FIRST, SECOND, THIRD, VOXEL, kept, labels_in, recorded
from editing import reviewed
from nodes import add_roi, add_segment, separate_layers

from GDLASegmenterLib.ModelRecord import recordOf


def test_what_a_run_left_is_not_reviewed(volume_node, node):
    assert reviewed(node, volume_node).protected == frozenset()


@pytest.mark.parametrize("layers", ["shared", "separate"])
def test_one_voxel_more_is_an_edit_and_undoing_it_leaves_none(volume_node, editor, node, layers):
    if layers == "separate":
        separate_layers(node)
        assert reviewed(node, volume_node).edited == frozenset()
    editor.dot(node, "liver", VOXEL)
    assert reviewed(node, volume_node).edited == {2}
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()
    editor.logic.Redo()
    assert reviewed(node, volume_node).edited == {2}


def test_erasing_a_whole_slice_is_an_edit(bench, volume_node, editor, node):
    for name in ("liver", "spleen", "aorta"):
        editor.erase(node, name, 4)
    assert reviewed(node, volume_node).edited == {4}
    bench.segment(volume_node, outputNode=node)
    assert not labels_in(node)[4].any()


def test_a_segment_of_the_users_does_not_count(volume_node, node):
    add_segment(node, volume_node, "lesion", FIRST == 0)
    assert reviewed(node, volume_node).protected == frozenset()


def test_giving_a_segment_another_place_name_or_color_is_no_edit(volume_node, node):
    segmentation = node.GetSegmentation()
    separate_layers(node)
    segmentation.GetNthSegment(0).SetName("Leber")
    segmentation.GetNthSegment(1).SetColor(1, 1, 1)
    segmentation.ReorderSegments(list(reversed(segmentation.GetSegmentIDs())))
    assert reviewed(node, volume_node).protected == frozenset()
    segmentation.CollapseBinaryLabelmaps(False)
    assert reviewed(node, volume_node).protected == frozenset()


def test_a_segment_that_was_removed_leaves_no_edits(volume_node, node):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    assert reviewed(node, volume_node).protected == frozenset()


def test_nor_does_it_when_a_run_has_brought_it_back(bench, volume_node, node):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    assert reviewed(node, volume_node).protected == frozenset()


def test_a_copy_of_a_segment_is_the_users_to_edit(volume_node, editor, node):
    segmentation = node.GetSegmentation()
    copy = slicer.vtkSegment()
    copy.DeepCopy(segmentation.GetNthSegment(0))
    copy.SetName("mine")
    segmentation.AddSegment(copy, "mine")
    editor.dot(node, "mine", VOXEL)
    assert reviewed(node, volume_node).protected == frozenset()


def test_looking_again_at_what_nobody_changed_costs_nothing(volume_node, node):
    found = reviewed(node, volume_node)
    assert list(found.refresh()) == []


def test_a_tick_is_taken_back_by_releasing(bench, volume_node, node):
    found = reviewed(node, volume_node)
    found.tick(1)
    found.tick(3)
    assert (found.ticked, found.edited, found.protected) == ({1, 3}, set(), {1, 3})
    found.release(1)
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(FIRST, SECOND, 3))


def test_a_released_edit_is_for_runs_to_change_until_the_next_edit(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    found = reviewed(node, volume_node)
    found.release(2)
    assert reviewed(node, volume_node).edited == frozenset()
    editor.dot(node, "liver", (2, 0, 0))
    assert reviewed(node, volume_node).edited == {2}
    found.release(2)
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), SECOND)


def test_releasing_an_edit_and_ticking_it_again_leaves_what_the_model_left_on_record(
    volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    found = reviewed(node, volume_node)
    found.release(2)
    assert found.protected == frozenset()
    np.testing.assert_array_equal(recorded(node), FIRST)
    found.tick(2)
    assert reviewed(node, volume_node).edited == {2}
    np.testing.assert_array_equal(recorded(node), FIRST)
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()


def test_doing_again_what_was_released_is_an_edit_once_a_run_has_been_there(
    bench, volume_node, editor, node
):
    for name in ("liver", "spleen", "aorta"):
        editor.erase(node, name, 4)
    reviewed(node, volume_node).release(4)
    assert reviewed(node, volume_node).protected == frozenset()
    bench.segment(volume_node, outputNode=node)
    assert labels_in(node)[4].any()
    assert reviewed(node, volume_node).protected == frozenset()
    for name in ("liver", "spleen", "aorta"):
        editor.erase(node, name, 4)
    assert reviewed(node, volume_node).edited == {4}


def test_undoing_a_run_gives_back_what_was_released_and_what_models_left(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    reviewed(node, volume_node).release(2)
    before = labels_in(node)
    bench.segment(volume_node, outputNode=node)
    for _ in range(2):
        editor.logic.Undo()
        np.testing.assert_array_equal(labels_in(node), before)
        assert reviewed(node, volume_node).protected == frozenset()
        np.testing.assert_array_equal(recorded(node), FIRST)
        editor.logic.Redo()
        assert reviewed(node, volume_node).protected == frozenset()
        np.testing.assert_array_equal(recorded(node), SECOND)


def test_taking_a_run_back_does_too(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    reviewed(node, volume_node).release(2)
    before = labels_in(node)
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    np.testing.assert_array_equal(labels_in(node), before)
    assert reviewed(node, volume_node).protected == frozenset()
    np.testing.assert_array_equal(recorded(node), FIRST)


def test_a_run_in_a_box_leaves_the_rest_of_a_released_slice_released(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", (2, 0, 0))
    reviewed(node, volume_node).release(2)
    before = labels_in(node)
    box = add_roi((5, 4, 3), (6, 5, 20))
    bench.segment(volume_node, outputNode=node, regionNode=box)
    found = labels_in(node)
    assert found[2, 0, 0] == before[2, 0, 0] and (found[2] != before[2]).any()
    assert reviewed(node, volume_node).protected == frozenset()
    assert recorded(node)[2, 0, 0] == FIRST[2, 0, 0]
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), THIRD)


# Undo of runs


def test_undoing_a_whole_run_and_doing_it_again_are_no_edits(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    for act, expected in ((editor.logic.Undo, FIRST), (editor.logic.Redo, SECOND)) * 2:
        act()
        np.testing.assert_array_equal(labels_in(node), expected)
        assert reviewed(node, volume_node).protected == frozenset()
        record = slicer.util.arrayFromVolume(recordOf(node, "abdomen").node)
        np.testing.assert_array_equal(record, expected)


def test_undoing_and_redoing_several_runs_at_once_are_no_edits(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node, slices=range(1, 5))
    bench.segment(volume_node, outputNode=node, slices=range(3, 6))
    editor.logic.Undo()
    editor.logic.Undo()
    np.testing.assert_array_equal(labels_in(node), FIRST)
    assert reviewed(node, volume_node).protected == frozenset()
    editor.logic.Redo()
    editor.logic.Redo()
    assert reviewed(node, volume_node).protected == frozenset()
    editor.dot(node, "liver", (5, 0, 0))
    assert reviewed(node, volume_node).edited == {5}


def test_an_edit_from_before_a_run_is_one_after_undoing_the_run(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    bench.segment(volume_node, outputNode=node)
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == {2}
    editor.logic.Undo()
    assert reviewed(node, volume_node).edited == frozenset()


def test_a_run_after_an_undone_one_is_not_kept_from_writing(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    editor.logic.Undo()
    run = bench.segment(volume_node, outputNode=node)  # nobody has looked for edits since
    assert run.reviewedSlices == 0
    np.testing.assert_array_equal(labels_in(node), THIRD)


@pytest.mark.parametrize("how", ["erased", "undone"])
def test_erasing_the_only_slice_of_a_run_is_not_mistaken_for_undoing_it(
    bench, volume_node, editor, scene, how
):
    node = bench.segment(volume_node, slices=range(3)).segmentationNode
    editor.edit(node)
    bench.segment(volume_node, outputNode=node, slices=range(4, 5))
    if how == "erased":
        for name in ("liver", "spleen", "aorta"):
            editor.erase(node, name, 4)
    else:
        editor.logic.Undo()
    assert not labels_in(node)[4].any()
    assert reviewed(node, volume_node).edited == ({4} if how == "erased" else set())


def test_nor_when_a_later_run_makes_room_for_more_slices(bench, volume_node, editor, scene):
    node = bench.segment(volume_node, slices=range(1)).segmentationNode
    editor.edit(node)
    bench.segment(volume_node, outputNode=node, slices=range(2, 3))
    for name in ("liver", "spleen", "aorta"):
        editor.erase(node, name, 2)
    assert reviewed(node, volume_node).edited == {2}
    bench.segment(volume_node, outputNode=node)
    assert not labels_in(node)[2].any() and labels_in(node)[3].any()


def test_what_is_kept_for_undo_goes_with_the_record(scene, bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    slicer.mrmlScene.RemoveNode(recordOf(node, "abdomen").node)
    editor.logic.Undo()
    assert reviewed(node, volume_node).protected == frozenset()  # nobody can tell
