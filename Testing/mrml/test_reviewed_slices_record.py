"""What a model left in a segmentation is recorded beside it, for as long as the user lets it."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from edited_run import FIRST, SECOND, SHAPE, THIRD, VOXEL, kept, labels_in
from editing import reviewed
from nodes import paint
from segmenting import Bench, voxels

from GDLASegmenterLib import SegmentLabels
from GDLASegmenterLib.ModelRecord import recordOf, recordsOf, removeRecord
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


def test_what_is_there_before_there_is_a_record_counts_as_the_models(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    slicer.mrmlScene.RemoveNode(recordOf(node, "abdomen").node)
    assert reviewed(node, volume_node).protected == frozenset()
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), SECOND)


@pytest.mark.parametrize("moment", ["before a run", "midway"])
def test_edits_that_were_known_stay_protected_when_the_record_is_removed(
    bench, volume_node, editor, node, moment
):
    editor.dot(node, "liver", VOXEL)
    before = labels_in(node)
    if moment == "midway":
        run = bench.begin(volume_node, outputNode=node)
        bench.until(lambda: run.finishedSlices == 2)
    else:
        assert reviewed(node, volume_node).edited == {2}
    slicer.mrmlScene.RemoveNode(recordOf(node, "abdomen").node)
    if moment == "midway":
        bench.to_the_end(run)
    else:
        run = bench.segment(volume_node, outputNode=node)
    assert run.error is None
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))
    assert reviewed(node, volume_node).protected == {2}
    assert recordOf(node, "abdomen") is not None


def test_a_file_of_segments_alone_counts_as_the_models_once_it_was_looked_at(
    scene, volume_node, editor, node, tmp_path
):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(0))
    assert slicer.util.saveNode(node, str(tmp_path / "result.seg.nrrd"))
    scene.RemoveNode(node)
    node = slicer.util.loadSegmentation(str(tmp_path / "result.seg.nrrd"))
    assert not ReviewedSlices(node, volumeGrid(volume_node), 0).isCurrent
    assert reviewed(node, volume_node).protected == frozenset()
    editor.edit(node)
    editor.dot(node, "aorta", VOXEL)
    before = labels_with_voxels(node)
    bench = Bench(scene, labels=lambda volume: SECOND)
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))
    assert reviewed(node, volume_node).edited == {2}
    record = slicer.util.arrayFromVolume(recordOf(node, "abdomen").node)
    np.testing.assert_array_equal(record[3:], SECOND[3:])


def labels_with_voxels(node):
    """Return the labels of the segments that there still are."""
    labels = np.zeros(SHAPE, np.uint8)
    for value, name in ((2, "spleen"), (3, "aorta")):
        labels[voxels(node, name, SHAPE)] = value
    return labels


def test_a_copy_of_the_segmentation_has_its_reviewed_slices_for_itself(
    scene, bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    assert reviewed(node, volume_node).edited == {2}
    before = labels_in(node)
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.Copy(node)
    copy.SetName("copy")
    assert reviewed(copy, volume_node).edited == {2}
    bench.segment(volume_node, outputNode=node)
    assert reviewed(copy, volume_node).edited == {2}
    assert reviewed(node, volume_node).edited == {2}
    np.testing.assert_array_equal(labels_in(copy), before)
    bench.segment(volume_node, outputNode=copy)
    np.testing.assert_array_equal(labels_in(copy), kept(before, THIRD, 2))
    np.testing.assert_array_equal(labels_in(node), kept(before, SECOND, 2))
    assert recordOf(node, "abdomen").node is not recordOf(copy, "abdomen").node
    for one in (copy, node):
        assert reviewed(one, volume_node).edited == {2}


def test_the_record_is_what_the_model_left_and_is_shown_in_place(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    bench.segment(volume_node, outputNode=node)
    record = recordOf(node, "abdomen")
    found = slicer.util.arrayFromVolume(record.node)
    np.testing.assert_array_equal(found, kept(FIRST, SECOND, 2))
    assert record.node.GetName() == f"{node.GetName()} as made by the model"
    assert not record.node.GetHideFromEditors() and record.node.GetSaveWithScene()


def test_a_removed_volume_changes_nothing_about_what_is_reviewed(
    scene, bench, volume_node, editor, node
):
    grid = volumeGrid(volume_node)
    editor.dot(node, "liver", VOXEL)
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices + run.reviewedSlices == 4)
    before = labels_in(node)
    scene.RemoveNode(volume_node)
    bench.to_the_end(run)
    np.testing.assert_array_equal(labels_in(node), kept(before, FIRST, 2))
    found = ReviewedSlices(node, grid, 0)
    for _ in found.refresh():
        pass
    assert found.edited == {2}


def test_painting_with_overlap_is_an_edit(volume_node, node):
    segmentation = node.GetSegmentation()
    mask = voxels(node, "liver", SHAPE)
    mask[2] |= FIRST[2] == 2
    merge = slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX
    paint(node, volume_node, segmentation.GetSegmentIdBySegmentName("liver"), mask, merge)
    assert reviewed(node, volume_node).edited == {2}


def test_large_slices_are_looked_at_in_parts_to_the_same_end(
    scene, volume_node, editor, node, monkeypatch
):
    monkeypatch.setattr(SegmentLabels, "_READ_AT_ONCE", 4 * SHAPE[2])  # two layers
    scene.RemoveNode(recordOf(node, "abdomen").node)
    assert reviewed(node, volume_node).edited == frozenset()
    record = slicer.util.arrayFromVolume(recordOf(node, "abdomen").node)
    np.testing.assert_array_equal(record, FIRST)
    editor.dot(node, "liver", (1, 0, 0))
    editor.dot(node, "liver", (4, 6, 7))
    found = ReviewedSlices(node, volumeGrid(volume_node), 0)
    steps = list(found.refresh())
    assert found.edited == {1, 4}
    assert len(steps) == (SHAPE[0] - 1) * 4 + 1, "nothing more of a slice that is known to differ"


@pytest.mark.parametrize("steps", range(1, SHAPE[0] + 1))
def test_releasing_while_somebody_looks_is_not_taken_back(volume_node, editor, node, steps):
    editor.dot(node, "liver", (1, 3, 4))
    found = reviewed(node, volume_node)
    editor.dot(node, "liver", (5, 3, 4))
    looking = found.refresh()
    for _ in range(steps):
        next(looking)
    found.release(1)
    for _ in looking:
        pass
    assert found.isCurrent and found.protected == {5}


def test_looking_ends_quietly_when_the_segmentation_is_removed(scene, volume_node, node):
    scene.RemoveNode(recordOf(node, "abdomen").node)
    looking = ReviewedSlices(node, volumeGrid(volume_node), 0).refresh()
    next(looking)
    scene.RemoveNode(node)
    assert list(looking) == []
    assert scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0
    assert list(ReviewedSlices(node, volumeGrid(volume_node), 0).refresh()) == []


def test_two_who_look_at_the_same_time_make_one_record(scene, volume_node, editor, node):
    scene.RemoveNode(recordOf(node, "abdomen").node)
    first, second = (ReviewedSlices(node, volumeGrid(volume_node), 0) for _ in range(2))
    looking = first.refresh()
    next(looking)
    assert not second.isCurrent
    for _ in second.refresh():
        pass
    editor.dot(node, "liver", VOXEL)
    for _ in looking:
        pass
    assert len(recordsOf(node)) == 1
    assert reviewed(node, volume_node).edited == {2}


def test_a_frame_of_a_sequence_has_no_record(scene, volume_node, node):
    browser, frame = add_segmentation_sequence(node)
    assert reviewed(frame, volume_node).protected == frozenset()
    assert recordOf(frame, "abdomen") is None


def add_segmentation_sequence(node):
    """Return the browser of a sequence of ``node`` alone, and the frame it shows."""
    scene = slicer.mrmlScene
    for record in recordsOf(node):
        removeRecord(node, record)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(node, "0")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser, browser.GetProxyNode(sequence)
