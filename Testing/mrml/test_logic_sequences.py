"""Volumes that a sequence browser shows: the current frame, or all frames."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_linear_transform, add_volume_sequence, put_into_study
from segmenting import Bench, label_map

from GDLACore.errors import VolumeError, WorkerError

SHAPE = (4, 6, 5)
FRAMES = np.random.default_rng(3).integers(0, 4, (3, *SHAPE)).astype(np.int16)
MOVED = np.array([[1.0, 0, 0, 5], [0, 0, -1, 6], [0, 1, 0, 7], [0, 0, 0, 1]])


@pytest.fixture
def browser(scene):
    return add_volume_sequence(FRAMES)[0]


@pytest.fixture
def volume_node(browser):
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


@pytest.fixture
def bench(scene):
    return Bench(scene)


def show(browser, frame):
    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def whole(bench, volume_node, **options):
    return bench.logic.segmentSequence(bench.request(volume_node, **options))


def test_the_frame_that_is_shown_is_segmented_like_any_volume(bench, browser, volume_node):
    show(browser, 1)
    node = bench.segment(volume_node).segmentationNode
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FRAMES[1])


def test_all_frames_go_into_a_sequence_that_the_browser_shows_in_step(
    scene, bench, browser, volume_node
):
    folder = put_into_study(volume_node)
    volume_node.SetAndObserveTransformNodeID(add_linear_transform(MOVED).GetID())
    run = bench.to_the_end(whole(bench, volume_node))
    assert run.error is None and run.state.value == "done"
    assert (run.done, run.total, run.finishedSlices) == (18, 18, 18)  # the transform turns them
    node = run.segmentationNode
    assert node.GetParentTransformNode() is volume_node.GetParentTransformNode()
    hierarchy = scene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder
    for frame in (2, 0, 1):
        show(browser, frame)
        np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FRAMES[frame])
        assert node.GetDisplayVisibility()
        segment = node.GetSegmentation().GetNthSegment(0)
        assert segment.GetName() == "liver"
        assert segment.GetTerminology() == bench.card.labels[0].terminology.serialized()


def test_nothing_but_the_sequence_its_segmentation_and_their_displays_is_added(
    scene, bench, volume_node
):
    before = {node.GetClassName() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    number = scene.GetNumberOfNodes()
    bench.to_the_end(whole(bench, volume_node))
    added = sorted(node.GetClassName() for node in slicer.util.getNodesByClass("vtkMRMLNode"))
    assert set(added) - before == {
        "vtkMRMLSegmentationNode",
        "vtkMRMLSegmentationDisplayNode",
        "vtkMRMLSegmentationStorageNode",  # which sequences add to what they show
    }
    assert added.count("vtkMRMLSequenceNode") == 2
    assert scene.GetNumberOfNodes() == number + 4


def test_other_frames_may_be_looked_at_meanwhile(bench, browser, volume_node):
    show(browser, 0)
    run = whole(bench, volume_node)
    for frame in (1, 2, 0, 2):
        bench.logic.update()
        show(browser, frame)
    bench.to_the_end(run)
    assert run.warnings == []
    for frame in range(3):
        show(browser, frame)
        found = label_map(run.segmentationNode, bench.card, SHAPE)
        np.testing.assert_array_equal(found, FRAMES[frame])


def test_frames_finished_before_a_cancel_are_kept_or_not_as_asked(
    scene, bench, browser, volume_node
):
    nodes = scene.GetNumberOfNodes()
    run = whole(bench, volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=True)
    bench.to_the_end(run)
    assert run.state.value == "cancelled"
    show(browser, 0)
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), FRAMES[0])
    assert scene.GetNumberOfNodes() == nodes + 4

    run = whole(bench, volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert run.segmentationNode is None
    assert scene.GetNumberOfNodes() == nodes + 4


def test_when_the_worker_fails_the_frames_before_are_kept(bench, browser, volume_node):
    run = whole(bench, volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    bench.worker.fail(WorkerError("It died.", "Try again."))
    bench.to_the_end(run)
    assert run.state.value == "failed" and run.error.message == "It died."
    show(browser, 0)
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), FRAMES[0])


@pytest.mark.parametrize("what", ["browser", "volume", "sequence"])
def test_removing_the_sequence_or_its_parts_ends_the_run_cleanly(
    scene, bench, browser, volume_node, what
):
    run = whole(bench, volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    nodes = {"browser": browser, "volume": volume_node, "sequence": browser.GetMasterSequenceNode()}
    scene.RemoveNode(nodes[what])
    bench.to_the_end(run)
    assert run.state.value == "cancelled" and run.error is None
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    bench.until(lambda: not bench.logic.isBusy)


def test_closing_the_scene_ends_the_run(scene, bench, volume_node):
    run = whole(bench, volume_node)
    bench.until(lambda: run.finishedSlices == 4)
    scene.Clear(0)
    bench.until(lambda: not bench.logic.isBusy)
    assert run.state.value == "cancelled"


def test_a_volume_that_is_in_no_sequence_is_refused(scene, bench):
    volume_node = slicer.util.addVolumeFromArray(FRAMES[0], name="CT")
    with pytest.raises(VolumeError, match="CT is no frame of a sequence"):
        whole(bench, volume_node)
