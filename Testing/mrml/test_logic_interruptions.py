"""What may happen to the scene, or to the worker, while a segmentation is being made."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from nodes import add_segment
from segmenting import Bench, label_map, voxels

from GDLACore.errors import WorkerError

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = GENERATOR.integers(0, 2, SHAPE) == 1


@pytest.fixture
def volume_node(scene):
    return slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="CT")


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND, SECOND])
    return Bench(scene, labels=lambda volume: next(results))


@pytest.fixture
def node(bench, volume_node):
    node = bench.segment(volume_node).segmentationNode
    add_segment(node, volume_node, "by hand", MANUAL)
    return node


@pytest.fixture
def rerun(bench, volume_node, node):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    return run


def mixed(slices):
    labels = FIRST.copy()
    labels[slices] = SECOND[slices]
    return labels


def segmentations(scene):
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_cancelled_run_may_keep_its_finished_slices(bench, node, rerun):
    bench.logic.cancel(keepFinishedSlices=True)
    assert rerun.state.value == "cancelling"
    bench.to_the_end(rerun)
    assert rerun.state.value == "cancelled"
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(0, 2)))


def test_a_cancelled_run_may_be_taken_back(bench, node, rerun):
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(rerun)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    assert rerun.finishedSlices == 0


def test_taking_back_leaves_what_the_user_painted_meanwhile_elsewhere(
    bench, volume_node, node, rerun
):
    before = voxels(node, "liver", SHAPE)
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    array = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    box = array.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    box[5 - k0, 3 - j0, 3 - i0] = 1
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(rerun)
    before[:2] = FIRST[:2] == 1
    before[5, 3, 3] = True
    np.testing.assert_array_equal(voxels(node, "liver", SHAPE), before)


def test_a_new_node_of_a_run_that_is_taken_back_is_removed(scene, bench, volume_node):
    nodes = scene.GetNumberOfNodes()
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 2)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert scene.GetNumberOfNodes() == nodes


def test_a_run_cancelled_before_its_first_slice_leaves_nothing(scene, bench, volume_node):
    nodes = scene.GetNumberOfNodes()
    run = bench.begin(volume_node)
    bench.logic.cancel()
    bench.to_the_end(run)
    assert run.state.value == "cancelled" and scene.GetNumberOfNodes() == nodes


def test_when_the_worker_fails_the_finished_slices_stay_and_the_next_run_works(
    bench, volume_node, node, rerun
):
    bench.worker.fail(WorkerError("It died.", "Try again."))
    bench.to_the_end(rerun)
    assert rerun.state.value == "failed" and str(rerun.error) == "It died. Try again."
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(0, 2)))
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_a_volume_that_changes_gets_its_result_in_a_node_of_its_own(
    scene, bench, volume_node, node, rerun
):
    slicer.util.arrayFromVolume(volume_node)[0] = 7
    slicer.util.arrayFromVolumeModified(volume_node)
    bench.to_the_end(rerun)
    assert rerun.error is None
    assert "was changed" in rerun.warnings[0]
    assert rerun.segmentationNode is not node
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    np.testing.assert_array_equal(label_map(rerun.segmentationNode, bench.card, SHAPE), SECOND)


@pytest.mark.parametrize("change", ["matrix", "transform", "bent"])
def test_a_volume_that_is_moved_counts_as_changed(scene, bench, volume_node, node, rerun, change):
    if change == "matrix":
        volume_node.SetOrigin(1, 2, 3)
    else:
        kind = (
            "vtkMRMLLinearTransformNode" if change == "transform" else "vtkMRMLBSplineTransformNode"
        )
        transform = scene.AddNewNodeByClass(kind)
        if change == "transform":
            matrix = vtk.vtkMatrix4x4()
            matrix.SetElement(0, 3, 5.0)
            transform.SetMatrixTransformToParent(matrix)
        else:
            transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
        volume_node.SetAndObserveTransformNodeID(transform.GetID())
    bench.to_the_end(rerun)
    assert rerun.error is None and len(rerun.warnings) == 1
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_looking_at_a_volume_differently_does_not_count_as_changing_it(
    bench, volume_node, node, rerun
):
    volume_node.CreateDefaultDisplayNodes()
    volume_node.GetDisplayNode().SetAutoWindowLevel(False)
    volume_node.GetDisplayNode().SetWindowLevel(400, 40)
    volume_node.SetName("Renamed")
    bench.to_the_end(rerun)
    assert rerun.warnings == []
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_a_new_node_keeps_the_result_of_a_volume_that_changed_and_says_so(bench, volume_node):
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 2)
    volume_node.SetOrigin(1, 2, 3)
    bench.to_the_end(run)
    assert len(run.warnings) == 1
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), FIRST)


def test_a_removed_volume_ends_the_run_and_leaves_no_half_result(
    scene, bench, volume_node, node, rerun
):
    scene.RemoveNode(volume_node)
    bench.to_the_end(rerun)
    assert rerun.state.value == "cancelled" and "CT was removed" in rerun.warnings[0]
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)
    bench.until(lambda: not bench.logic.isBusy)
    assert not bench.worker.busy


def test_a_removed_segmentation_ends_the_run(scene, bench, node, rerun):
    scene.RemoveNode(node)
    bench.to_the_end(rerun)
    assert rerun.state.value == "cancelled" and rerun.error is None
    assert segmentations(scene) == []


def test_a_segmentation_removed_before_the_first_slice_is_not_created_again(
    scene, bench, volume_node, node
):
    run = bench.begin(volume_node, outputNode=node)
    scene.RemoveNode(node)
    bench.to_the_end(run)
    assert run.state.value == "cancelled" and segmentations(scene) == []


def test_removing_the_models_segments_ends_the_run(scene, bench, volume_node, node, rerun):
    for segmentID in node.GetSegmentation().GetSegmentIDs()[:3]:
        node.GetSegmentation().RemoveSegment(segmentID)
    bench.to_the_end(rerun)
    assert rerun.state.value == "cancelled"
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_removing_one_segment_is_respected(scene, bench, volume_node, node, rerun):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    bench.to_the_end(rerun)
    assert rerun.error is None
    assert node.GetSegmentation().GetSegmentIdBySegmentName("spleen") == ""
    np.testing.assert_array_equal(voxels(node, "aorta", SHAPE), SECOND == 3)


def test_painting_while_slices_arrive_keeps_both(bench, volume_node, node, rerun):
    dot = np.zeros(SHAPE, bool)
    dot[1, 2, 2] = True
    add_segment(node, volume_node, "dot", dot)
    bench.to_the_end(rerun)
    np.testing.assert_array_equal(voxels(node, "dot", SHAPE), dot)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_closing_the_scene_ends_the_run_and_leaves_nothing(scene, bench, volume_node, node, rerun):
    empty = scene.GetNumberOfNodes()
    scene.Clear(0)
    for _ in range(10):
        bench.logic.update()
    assert rerun.state.value == "cancelled"
    assert scene.GetNumberOfNodes() < empty and segmentations(scene) == []
    assert not bench.logic.isBusy and not bench.worker.busy


def test_a_scene_with_the_same_node_ids_opened_meanwhile_is_not_written_to(
    scene, bench, volume_node, node, rerun
):
    scene.Clear(0)
    other = slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="other patient")
    other_node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", node.GetName())
    for _ in range(10):
        bench.logic.update()
    assert other_node.GetSegmentation().GetNumberOfSegments() == 0
    bench.segment(other)  # and the logic is free for it


def test_after_cleanup_the_worker_is_closed_and_the_scene_may_be(scene, bench, rerun):
    bench.logic.cleanup()
    scene.Clear(0)
    assert rerun.isOver


def test_a_second_request_while_one_is_running_is_refused(bench, volume_node, rerun):
    with pytest.raises(ValueError, match="being made"):
        bench.begin(volume_node)
