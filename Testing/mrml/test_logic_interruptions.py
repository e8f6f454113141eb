"""What may happen to the scene, or to the worker, while a segmentation is being made."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from segmenting import Bench, addManualSegment, labelMap, voxels

from GDLACore.errors import WorkerError

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = GENERATOR.integers(0, 2, SHAPE) == 1


@pytest.fixture
def volumeNode(scene):
    return slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="CT")


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND, SECOND])
    return Bench(scene, labels=lambda volume: next(results))


@pytest.fixture
def node(bench, volumeNode):
    node = bench.segment(volumeNode).segmentationNode
    addManualSegment(node, volumeNode, "by hand", MANUAL)
    return node


@pytest.fixture
def rerun(bench, volumeNode, node):
    run = bench.begin(volumeNode, outputNode=node)
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
    bench.toTheEnd(rerun)
    assert rerun.state.value == "cancelled"
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), mixed(slice(0, 2)))


def test_a_cancelled_run_may_be_taken_back(bench, node, rerun):
    bench.logic.cancel(keepFinishedSlices=False)
    bench.toTheEnd(rerun)
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    assert rerun.finishedSlices == 0


def test_taking_back_leaves_what_the_user_painted_meanwhile_elsewhere(
    bench, volumeNode, node, rerun
):
    before = voxels(node, "liver", SHAPE)
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    array = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    box = array.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    box[5 - k0, 3 - j0, 3 - i0] = 1
    bench.logic.cancel(keepFinishedSlices=False)
    bench.toTheEnd(rerun)
    before[:2] = FIRST[:2] == 1
    before[5, 3, 3] = True
    np.testing.assert_array_equal(voxels(node, "liver", SHAPE), before)


def test_a_new_node_of_a_run_that_is_taken_back_is_removed(scene, bench, volumeNode):
    nodes = scene.GetNumberOfNodes()
    run = bench.begin(volumeNode)
    bench.until(lambda: run.finishedSlices == 2)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.toTheEnd(run)
    assert scene.GetNumberOfNodes() == nodes


def test_a_run_cancelled_before_its_first_slice_leaves_nothing(scene, bench, volumeNode):
    nodes = scene.GetNumberOfNodes()
    run = bench.begin(volumeNode)
    bench.logic.cancel()
    bench.toTheEnd(run)
    assert run.state.value == "cancelled" and scene.GetNumberOfNodes() == nodes


def test_when_the_worker_fails_the_finished_slices_stay_and_the_next_run_works(
    bench, volumeNode, node, rerun
):
    bench.worker.fail(WorkerError("It died.", "Try again."))
    bench.toTheEnd(rerun)
    assert rerun.state.value == "failed" and str(rerun.error) == "It died. Try again."
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), mixed(slice(0, 2)))
    bench.segment(volumeNode, outputNode=node)
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), SECOND)


def test_a_volume_that_changes_gets_its_result_in_a_node_of_its_own(
    scene, bench, volumeNode, node, rerun
):
    slicer.util.arrayFromVolume(volumeNode)[0] = 7
    slicer.util.arrayFromVolumeModified(volumeNode)
    bench.toTheEnd(rerun)
    assert rerun.error is None
    assert "was changed" in rerun.warnings[0]
    assert rerun.segmentationNode is not node
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)
    np.testing.assert_array_equal(labelMap(rerun.segmentationNode, bench.card, SHAPE), SECOND)


@pytest.mark.parametrize("change", ["matrix", "transform", "bent"])
def test_a_volume_that_is_moved_counts_as_changed(scene, bench, volumeNode, node, rerun, change):
    if change == "matrix":
        volumeNode.SetOrigin(1, 2, 3)
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
        volumeNode.SetAndObserveTransformNodeID(transform.GetID())
    bench.toTheEnd(rerun)
    assert rerun.error is None and len(rerun.warnings) == 1
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)


def test_looking_at_a_volume_differently_does_not_count_as_changing_it(
    bench, volumeNode, node, rerun
):
    volumeNode.CreateDefaultDisplayNodes()
    volumeNode.GetDisplayNode().SetAutoWindowLevel(False)
    volumeNode.GetDisplayNode().SetWindowLevel(400, 40)
    volumeNode.SetName("Renamed")
    bench.toTheEnd(rerun)
    assert rerun.warnings == []
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), SECOND)


def test_a_new_node_keeps_the_result_of_a_volume_that_changed_and_says_so(bench, volumeNode):
    run = bench.begin(volumeNode)
    bench.until(lambda: run.finishedSlices == 2)
    volumeNode.SetOrigin(1, 2, 3)
    bench.toTheEnd(run)
    assert len(run.warnings) == 1
    np.testing.assert_array_equal(labelMap(run.segmentationNode, bench.card, SHAPE), FIRST)


def test_a_removed_volume_ends_the_run_and_leaves_no_half_result(
    scene, bench, volumeNode, node, rerun
):
    scene.RemoveNode(volumeNode)
    bench.toTheEnd(rerun)
    assert rerun.state.value == "cancelled" and "CT was removed" in rerun.warnings[0]
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FIRST)
    bench.until(lambda: not bench.logic.isBusy)
    assert not bench.worker.busy


def test_a_removed_segmentation_ends_the_run(scene, bench, node, rerun):
    scene.RemoveNode(node)
    bench.toTheEnd(rerun)
    assert rerun.state.value == "cancelled" and rerun.error is None
    assert segmentations(scene) == []


def test_a_segmentation_removed_before_the_first_slice_is_not_created_again(
    scene, bench, volumeNode, node
):
    run = bench.begin(volumeNode, outputNode=node)
    scene.RemoveNode(node)
    bench.toTheEnd(run)
    assert run.state.value == "cancelled" and segmentations(scene) == []


def test_removing_the_models_segments_ends_the_run(scene, bench, volumeNode, node, rerun):
    for segmentID in node.GetSegmentation().GetSegmentIDs()[:3]:
        node.GetSegmentation().RemoveSegment(segmentID)
    bench.toTheEnd(rerun)
    assert rerun.state.value == "cancelled"
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), MANUAL)


def test_removing_one_segment_is_respected(scene, bench, volumeNode, node, rerun):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    bench.toTheEnd(rerun)
    assert rerun.error is None
    assert node.GetSegmentation().GetSegmentIdBySegmentName("spleen") == ""
    np.testing.assert_array_equal(voxels(node, "aorta", SHAPE), SECOND == 3)


def test_painting_while_slices_arrive_keeps_both(bench, volumeNode, node, rerun):
    dot = np.zeros(SHAPE, bool)
    dot[1, 2, 2] = True
    addManualSegment(node, volumeNode, "dot", dot)
    bench.toTheEnd(rerun)
    np.testing.assert_array_equal(voxels(node, "dot", SHAPE), dot)
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), SECOND)


def test_closing_the_scene_ends_the_run_and_leaves_nothing(scene, bench, volumeNode, node, rerun):
    empty = scene.GetNumberOfNodes()
    scene.Clear(0)
    for _ in range(10):
        bench.logic.update()
    assert rerun.state.value == "cancelled"
    assert scene.GetNumberOfNodes() < empty and segmentations(scene) == []
    assert not bench.logic.isBusy and not bench.worker.busy


def test_a_scene_with_the_same_node_ids_opened_meanwhile_is_not_written_to(
    scene, bench, volumeNode, node, rerun
):
    scene.Clear(0)
    other = slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="other patient")
    otherNode = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", node.GetName())
    for _ in range(10):
        bench.logic.update()
    assert otherNode.GetSegmentation().GetNumberOfSegments() == 0
    bench.segment(other)  # and the logic is free for it


def test_after_cleanup_the_worker_is_closed_and_the_scene_may_be(scene, bench, rerun):
    bench.logic.cleanup()
    scene.Clear(0)
    assert rerun.isOver


def test_a_second_request_while_one_is_running_is_refused(bench, volumeNode, rerun):
    with pytest.raises(ValueError, match="being made"):
        bench.begin(volumeNode)
