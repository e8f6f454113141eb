"""What may happen to a sequence, its results and the run while its frames are segmented."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_volume_sequence
from segmenting import Bench, label_map

SHAPE = (4, 6, 5)
FRAMES = np.random.default_rng(3).integers(0, 4, (3, *SHAPE)).astype(np.int16)


@pytest.fixture
def browser(scene):
    return add_volume_sequence(FRAMES)[0]


@pytest.fixture
def frames(browser):
    return browser.GetMasterSequenceNode()


@pytest.fixture
def bench(scene):
    return Bench(scene)


@pytest.fixture
def run(bench, browser, frames):
    return bench.logic.segmentSequence(bench.request(browser.GetProxyNode(frames)))


def results_of(browser):
    """Return the sequence of segmentations that ``browser`` shows in step with the volumes."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    (results,) = (one for one in nodes if one is not browser.GetMasterSequenceNode())
    assert browser.GetProxyNode(results) is not None
    return results


def check_results(browser, bench, expected: list[int]):
    results = results_of(browser)
    values = [results.GetNthIndexValue(n) for n in range(results.GetNumberOfDataNodes())]
    assert values == [str(frame) for frame in expected]
    for frame in expected:
        found = label_map(results.GetDataNodeAtValue(str(frame)), bench.card, SHAPE)
        np.testing.assert_array_equal(found, FRAMES[frame], err_msg=f"frame {frame}")


def hidden_nodes():
    """Return the data nodes that the user cannot see."""
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
    nodes = [node for kind in kinds for node in slicer.util.getNodesByClass(kind)]
    return [node.GetName() for node in nodes if node.GetHideFromEditors()]


def until_finishing(bench, run):
    """Go on until the first frame's slices are all written, but no further."""
    while run._run.state.value != "finishing":
        for event in bench.worker.poll():
            run.receive(event)
        run.advance()


@pytest.mark.parametrize(
    ("removed", "expected"), [(["0"], [1, 2]), (["1"], [0, 2]), (["1", "2"], [0])]
)
def test_frames_removed_meanwhile_are_left_out_and_the_others_keep_their_index(
    bench, browser, frames, run, removed, expected
):
    bench.until(lambda: run.done > 0)
    for value in removed:
        frames.RemoveDataNodeAtValue(value)
    bench.to_the_end(run)
    assert run.error is None and run.state.value == "done"
    check_results(browser, bench, expected)
    assert hidden_nodes() == []


def test_frames_before_the_last_may_go_while_that_is_segmented(bench, browser, frames, run):
    bench.until(lambda: run.finishedSlices >= 8)
    frames.RemoveDataNodeAtValue("0")
    frames.RemoveDataNodeAtValue("1")
    bench.to_the_end(run)
    assert run.error is None
    results = results_of(browser)
    found = label_map(results.GetDataNodeAtValue("2"), bench.card, SHAPE)
    np.testing.assert_array_equal(found, FRAMES[2])


@pytest.mark.parametrize("keep", [True, False])
def test_a_cancel_while_a_frame_is_being_finished_stops_the_frames_after_it(
    scene, bench, run, keep
):
    nodes = scene.GetNumberOfNodes()
    until_finishing(bench, run)
    bench.logic.cancel(keepFinishedSlices=keep)
    bench.to_the_end(run)
    assert run.state.value == "cancelled" and run.error is None
    assert len(bench.worker.requests) == 1
    if not keep:
        assert run.segmentationNode is None
        assert scene.GetNumberOfNodes() < nodes
    assert hidden_nodes() == []


def test_removing_the_results_ends_the_run(scene, bench, browser, run):
    bench.until(lambda: run.finishedSlices == 4)
    nodes = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    (results,) = (one for one in nodes if one is not browser.GetMasterSequenceNode())
    scene.RemoveNode(results)
    bench.to_the_end(run)
    assert run.state.value == "cancelled" and "was removed" in run.warnings[0]
    assert run.segmentationNode is None and hidden_nodes() == []
    bench.until(lambda: not bench.logic.isBusy)


def test_cleanup_in_the_middle_keeps_finished_frames_and_no_hidden_node(bench, browser, run):
    bench.until(lambda: run.finishedSlices == 4 and run._run.finishedSlices > 0)
    bench.logic.cleanup()
    assert run.isOver and hidden_nodes() == []
    check_results(browser, bench, [0])


@pytest.mark.parametrize("what", ["browser", "sequence"])
def test_nothing_hidden_stays_when_the_sequence_is_removed(scene, bench, browser, run, what):
    bench.until(lambda: run.finishedSlices == 4 and run._run.finishedSlices > 0)
    scene.RemoveNode(browser if what == "browser" else browser.GetMasterSequenceNode())
    bench.to_the_end(run)
    assert hidden_nodes() == []


def test_a_frame_that_is_being_segmented_is_not_seen_and_not_saved(scene, bench, run, tmp_path):
    bench.until(lambda: run._run.finishedSlices == 2)
    partial = run._run.segmentationNode
    assert partial.GetHideFromEditors() and not partial.GetDisplayVisibility()
    assert len(hidden_nodes()) == 3, "volume, segmentation and record"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1


def test_the_results_count_in_the_frames_index_and_are_saved_and_seen(bench, browser, frames, run):
    frames.SetIndexName("phase")
    frames.SetIndexUnit("%")
    bench.to_the_end(run)
    results = results_of(browser)
    assert results.GetIndexName() == "phase" and results.GetIndexUnit() == "%"
    assert results.GetIndexType() == frames.GetIndexType()
    for index in range(3):
        node = results.GetNthDataNode(index)
        assert node.GetSaveWithScene() and not node.GetHideFromEditors()
    check_results(browser, bench, [0, 1, 2])
