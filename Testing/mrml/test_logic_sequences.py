"""Volumes that a sequence browser shows: the current frame, or all frames."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_linear_transform, add_volume_sequence, put_into_study
from segmenting import Bench, labelMap

from GDLACore.errors import VolumeError, WorkerError

SHAPE = (4, 6, 5)
FRAMES = np.random.default_rng(3).integers(0, 4, (3, *SHAPE)).astype(np.int16)
MOVED = np.array([[1.0, 0, 0, 5], [0, 0, -1, 6], [0, 1, 0, 7], [0, 0, 0, 1]])


@pytest.fixture
def browser(scene):
    return add_volume_sequence(FRAMES)[0]


@pytest.fixture
def volumeNode(browser):
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


@pytest.fixture
def bench(scene):
    return Bench(scene)


def show(browser, frame):
    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def whole(bench, volumeNode, **options):
    return bench.logic.segmentSequence(bench.request(volumeNode, **options))


def test_the_frame_that_is_shown_is_segmented_like_any_volume(bench, browser, volumeNode):
    show(browser, 1)
    node = bench.segment(volumeNode).segmentationNode
    np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FRAMES[1])


def test_all_frames_go_into_a_sequence_that_the_browser_shows_in_step(
    scene, bench, browser, volumeNode
):
    folder = put_into_study(volumeNode)
    volumeNode.SetAndObserveTransformNodeID(add_linear_transform(MOVED).GetID())
    run = bench.toTheEnd(whole(bench, volumeNode))
    assert run.error is None and run.state.value == "done"
    assert (run.done, run.total, run.finishedSlices) == (18, 18, 18)  # the transform turns them
    node = run.segmentationNode
    assert node.GetParentTransformNode() is volumeNode.GetParentTransformNode()
    hierarchy = scene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder
    for frame in (2, 0, 1):
        show(browser, frame)
        np.testing.assert_array_equal(labelMap(node, bench.card, SHAPE), FRAMES[frame])
        assert node.GetDisplayVisibility()
        segment = node.GetSegmentation().GetNthSegment(0)
        assert segment.GetName() == "liver"
        assert segment.GetTerminology() == bench.card.labels[0].terminology.serialized()


def test_nothing_but_the_sequence_its_segmentation_and_their_displays_is_added(
    scene, bench, volumeNode
):
    before = {node.GetClassName() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    number = scene.GetNumberOfNodes()
    bench.toTheEnd(whole(bench, volumeNode))
    added = sorted(node.GetClassName() for node in slicer.util.getNodesByClass("vtkMRMLNode"))
    assert set(added) - before == {
        "vtkMRMLSegmentationNode",
        "vtkMRMLSegmentationDisplayNode",
        "vtkMRMLSegmentationStorageNode",  # which sequences add to what they show
    }
    assert added.count("vtkMRMLSequenceNode") == 2
    assert scene.GetNumberOfNodes() == number + 4


def test_other_frames_may_be_looked_at_meanwhile(bench, browser, volumeNode):
    show(browser, 0)
    run = whole(bench, volumeNode)
    for frame in (1, 2, 0, 2):
        bench.logic.update()
        show(browser, frame)
    bench.toTheEnd(run)
    assert run.warnings == []
    for frame in range(3):
        show(browser, frame)
        found = labelMap(run.segmentationNode, bench.card, SHAPE)
        np.testing.assert_array_equal(found, FRAMES[frame])


def test_frames_finished_before_a_cancel_are_kept_or_not_as_asked(
    scene, bench, browser, volumeNode
):
    nodes = scene.GetNumberOfNodes()
    run = whole(bench, volumeNode)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=True)
    bench.toTheEnd(run)
    assert run.state.value == "cancelled"
    show(browser, 0)
    np.testing.assert_array_equal(labelMap(run.segmentationNode, bench.card, SHAPE), FRAMES[0])
    assert scene.GetNumberOfNodes() == nodes + 4

    run = whole(bench, volumeNode)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.toTheEnd(run)
    assert run.segmentationNode is None
    assert scene.GetNumberOfNodes() == nodes + 4


def test_when_the_worker_fails_the_frames_before_are_kept(bench, browser, volumeNode):
    run = whole(bench, volumeNode)
    bench.until(lambda: run.finishedSlices == 4)
    bench.worker.fail(WorkerError("It died.", "Try again."))
    bench.toTheEnd(run)
    assert run.state.value == "failed" and run.error.message == "It died."
    show(browser, 0)
    np.testing.assert_array_equal(labelMap(run.segmentationNode, bench.card, SHAPE), FRAMES[0])


@pytest.mark.parametrize("what", ["browser", "volume", "sequence"])
def test_removing_the_sequence_or_its_parts_ends_the_run_cleanly(
    scene, bench, browser, volumeNode, what
):
    run = whole(bench, volumeNode)
    bench.until(lambda: run.finishedSlices == 4)
    nodes = {"browser": browser, "volume": volumeNode, "sequence": browser.GetMasterSequenceNode()}
    scene.RemoveNode(nodes[what])
    bench.toTheEnd(run)
    assert run.state.value == "cancelled" and run.error is None
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    bench.until(lambda: not bench.logic.isBusy)


def test_closing_the_scene_ends_the_run(scene, bench, volumeNode):
    run = whole(bench, volumeNode)
    bench.until(lambda: run.finishedSlices == 4)
    scene.Clear(0)
    bench.until(lambda: not bench.logic.isBusy)
    assert run.state.value == "cancelled"


def test_a_volume_that_is_in_no_sequence_is_refused(scene, bench):
    volumeNode = slicer.util.addVolumeFromArray(FRAMES[0], name="CT")
    with pytest.raises(VolumeError, match="CT is no frame of a sequence"):
        whole(bench, volumeNode)
