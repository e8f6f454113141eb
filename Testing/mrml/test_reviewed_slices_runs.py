"""Slices that the user edited or ticked are left as they are by runs, however they end."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from edited_run import FIRST, SECOND, SHAPE, THIRD, VOXEL, kept, labels_in
from editing import Editor, reviewed
from nodes import add_roi, add_segment, add_volume
from phantom import make_card
from segmenting import Bench, voxels
from vtk.util.numpy_support import vtk_to_numpy

from GDLASegmenterLib.ModelRecord import recordsOf
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


def test_a_run_leaves_a_slice_that_was_just_edited(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)  # and nobody has looked for edits since
    before = labels_in(node)
    run = bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))
    assert (run.finishedSlices, run.reviewedSlices) == (5, 1)
    assert reviewed(node, volume_node).edited == {2}
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(before, THIRD, 2))


def test_a_stroke_that_nobody_announced_is_seen_all_the_same(bench, volume_node, node):
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    array = vtk_to_numpy(image.GetPointData().GetScalars())
    array.reshape(SHAPE)[VOXEL] = 1 + FIRST[VOXEL] % 3
    before = labels_in(node)
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))


@pytest.mark.parametrize("mark", ["edit", "tick"])
@pytest.mark.parametrize("moment", [0, 2, 4, 6])
def test_so_does_a_run_that_is_going_on(bench, volume_node, editor, node, moment, mark):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == moment)
    if mark == "edit":
        editor.dot(node, "liver", VOXEL)
    else:
        ReviewedSlices(node, volumeGrid(volume_node), 0).tick(2)
    before = labels_in(node)
    bench.to_the_end(run)
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))


@pytest.mark.parametrize("mark", ["edit", "tick"])
def test_taking_a_run_back_leaves_what_was_reviewed_meanwhile(
    bench, volume_node, editor, node, mark
):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 4)
    if mark == "edit":
        editor.dot(node, "liver", VOXEL)
    else:
        ReviewedSlices(node, volumeGrid(volume_node), 0).tick(2)
    before = labels_in(node)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    np.testing.assert_array_equal(labels_in(node), kept(before, FIRST, 2))
    assert reviewed(node, volume_node).protected == {2}


def test_taking_a_run_back_does_not_unprotect(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices + run.reviewedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert reviewed(node, volume_node).edited == {2}


def test_slices_undone_in_the_middle_of_a_run_are_not_taken_back_once_more(
    bench, volume_node, editor, node
):
    editor.dot(node, "aorta", (1, 0, 0))
    reviewed(node, volume_node).release(1)
    before = labels_in(node)
    run = bench.begin(volume_node, outputNode=node, largestComponent=True)
    bench.until(lambda: run.finishedSlices == 4)
    editor.logic.Undo()
    editor.dot(node, "liver", (0, 0, 0))
    editor.logic.Undo()
    np.testing.assert_array_equal(labels_in(node), before)
    bench.until(lambda: run.finishedSlices == 6)
    written = labels_in(node)
    np.testing.assert_array_equal(written, kept(before, SECOND, 0, 1, 2, 3))
    bench.to_the_end(run)  # with the clean-up
    np.testing.assert_array_equal(labels_in(node)[:4], before[:4])


@pytest.mark.parametrize("voxel", [VOXEL, (5, 0, 0)], ids=["written before", "not yet written"])
def test_a_new_segmentation_that_was_edited_is_not_taken_back(
    scene, bench, volume_node, editor, voxel
):
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    node = run.segmentationNode
    editor.dot(node, "liver", voxel)
    before = labels_in(node)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert scene.IsNodePresent(node)
    np.testing.assert_array_equal(labels_in(node), kept(before, np.zeros_like(FIRST), voxel[0]))
    assert reviewed(node, volume_node).edited == {voxel[0]}


def test_segments_with_the_users_voxels_stay_though_nobody_knows_what_the_model_left(
    scene, volume_node, editor
):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    add_segment(node, volume_node, "mine", FIRST == 1)
    editor.edit(node)
    bench = Bench(scene, batch=1)
    run = bench.begin(volume_node, outputNode=node, slices=range(2))
    bench.until(lambda: run.finishedSlices == 1)
    editor.dot(node, "liver", (4, 3, 4))
    reviewed(node, volume_node)
    for record in recordsOf(node):
        scene.RemoveNode(record.node)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert node.GetSegmentation().GetSegmentIdBySegmentName("liver")
    assert np.argwhere(voxels(node, "liver", SHAPE)).tolist() == [[4, 3, 4]]


def test_the_clean_up_leaves_what_was_reviewed_meanwhile(scene, editor, volume_node):
    found = np.zeros(SHAPE, np.uint8)
    found[1:5, 1:4, 1:4] = 1
    found[[1, 3, 5], 6, 7] = 1  # which the clean-up takes away
    bench = Bench(scene, labels=lambda volume: found)
    run = bench.begin(volume_node, largestComponent=True)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    node = run.segmentationNode
    editor.dot(node, "liver", (3, 0, 0))
    ReviewedSlices(node, volumeGrid(volume_node), 0).tick(5)
    bench.to_the_end(run)
    expected = found.copy()
    expected[3, 0, 0], expected[1, 6, 7] = 1, 0
    np.testing.assert_array_equal(labels_in(node), expected)
    assert reviewed(node, volume_node).protected == {3, 5}


def test_a_run_in_a_box_leaves_a_reviewed_slice_inside_it(bench, volume_node, editor, node):
    editor.dot(node, "liver", (2, 0, 0))  # outside of the box
    before = labels_in(node)
    run = bench.segment(volume_node, outputNode=node, regionNode=add_roi((5, 5, 2.5), (3, 3, 9)))
    assert run.reviewedSlices == 1
    np.testing.assert_array_equal(labels_in(node)[2], before[2])
    assert (labels_in(node) != FIRST).sum() > 5, "but others were written"


def test_another_model_and_a_newer_version_leave_it_too(scene, bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    reviewed(node, volume_node)
    before = labels_in(node)
    other = Bench(
        scene,
        labels=lambda volume: SECOND % 3,
        card=dataclasses.replace(make_card(("vein", "duct")), name="vessels"),
    )
    other.segment(volume_node, outputNode=node)
    assert not voxels(node, "vein", SHAPE)[2].any()
    assert voxels(node, "vein", SHAPE)[3].any()
    newer = Bench(
        scene, labels=lambda volume: THIRD, card=dataclasses.replace(make_card(), version="2.0")
    )
    newer.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(before, THIRD, 2))
    editor.dot(node, "vein", (4, 0, 0))
    assert reviewed(node, volume_node).edited == {2, 4}


def test_a_version_whose_labels_are_numbered_otherwise_leaves_it_too(
    scene, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    before = labels_in(node)
    newer = Bench(
        scene,
        labels=lambda volume: SECOND,
        card=make_card(("vein", "aorta", "spleen", "liver")),
    )
    newer.segment(volume_node, outputNode=node)
    meant = np.array([0, 0, 3, 2], np.uint8)[SECOND]  # in the numbers of the first
    np.testing.assert_array_equal(labels_in(node), kept(before, meant, 2))


def test_a_slice_ticked_along_another_axis_is_left_by_runs_along_this_one(bench, volume_node, node):
    ReviewedSlices(node, volumeGrid(volume_node), 1).tick(3)
    ReviewedSlices(node, volumeGrid(volume_node), 2).tick(5)
    bench.segment(volume_node, outputNode=node)
    expected = SECOND.copy()
    expected[:, 3], expected[:, :, 5] = FIRST[:, 3], FIRST[:, :, 5]
    np.testing.assert_array_equal(labels_in(node), expected)
    assert reviewed(node, volume_node).protected == frozenset()


def test_edits_stay_protected_when_the_model_slices_along_another_axis(
    scene,
):
    coronal = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    volume_node = add_volume(FIRST.astype(np.int16), coronal)
    editor = Editor(scene, volume_node, SHAPE)
    as_stored = dataclasses.replace(make_card(), slice_axis="acquisition")
    axial = dataclasses.replace(make_card(), slice_axis="axial")
    node = Bench(scene, lambda volume: FIRST, as_stored).segment(volume_node).segmentationNode
    editor.dot(node, "liver", VOXEL)
    before = labels_in(node)
    run = Bench(scene, lambda volume: SECOND, axial).segment(volume_node, outputNode=node)
    assert run.finishedSlices == SHAPE[1]
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))
    assert reviewed(node, volume_node).protected == {2}
    assert reviewed(node, volume_node, axis=1).protected == frozenset()
    editor.dot(node, "liver", (0, 3, 0))
    before = labels_in(node)
    Bench(scene, lambda volume: THIRD, axial).segment(volume_node, outputNode=node)
    expected = kept(before, THIRD, 2)
    expected[:, 3] = before[:, 3]
    np.testing.assert_array_equal(labels_in(node), expected)


def test_looking_for_edits_while_a_removed_segment_is_brought_back_finds_none(
    bench, volume_node, node
):
    segmentation = node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("spleen"))
    run = bench.begin(volume_node, outputNode=node)
    while not run.isOver:
        for event in bench.worker.poll():
            run.receive(event)
        run.advance()
        reviewed(node, volume_node)
    assert run.error is None and run.reviewedSlices == 0
    np.testing.assert_array_equal(labels_in(node), SECOND)
    assert reviewed(node, volume_node).protected == frozenset()
