"""How sure the network is of its labels, beside those of a run."""

from __future__ import annotations

import numpy as np
import pytest
import slicer.util
from edited_run import FIRST, SHAPE, VOXEL
from nodes import add_roi

from GDLASegmenterLib.ConfidenceVolume import confidenceNode
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.RunState import RunState
from GDLASegmenterLib.VolumeGrid import volumeGrid


def test_doubt_and_confidence_are_those_of_the_slices_that_were_written(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    run = bench.segment(volume_node, outputNode=node, confidence=True, slices=range(1, 4))
    assert bench.worker.requests[-1][2].confidence
    assert run.doubt == {1: 0.0, 3: 0.0}
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    assert [k for k in range(SHAPE[0]) if (percent[k] == 100).all()] == [1, 3]


def test_slices_that_are_made_anew_without_confidence_have_none_any_more(bench, volume_node, node):
    bench.segment(volume_node, outputNode=node, confidence=True)
    run = bench.segment(volume_node, outputNode=node, slices=range(1, 4))
    assert run.writtenSlices == {1, 2, 3} and run.doubt == {}
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    assert not percent[1:4].any() and percent[[0, *range(4, len(percent))]].all()


def test_a_run_that_is_taken_back_leaves_no_confidence(bench, volume_node, node):
    run = bench.begin(volume_node, outputNode=node, confidence=True)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert confidenceNode(node) is None and run.doubt == {}


# How much the network doubts in a run


def wavering(volume) -> np.ndarray:
    return np.random.default_rng(8).random(volume.shape).astype(np.float16)


SURE = wavering(FIRST)
PERCENT = np.rint(100 * SURE.astype(float)).clip(1, 100)


@pytest.fixture
def wavering_bench(bench):
    bench.worker._find_confidence = wavering
    return bench


def doubt_in(index: int, inside: np.ndarray | bool = True) -> float:
    missing = (1 - SURE.astype(float)) / 2
    return float(np.where(inside, missing, 0)[index].sum())


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_cancelled_while_it_is_being_finished_has_doubt_only_of_what_is_kept(
    wavering_bench, volume_node, node, keep
):
    bench = wavering_bench
    run = bench.begin(volume_node, outputNode=node, confidence=True)
    for _ in range(1000):
        for event in bench.worker.poll():
            run.receive(event)
        run.advance()
        if run.state is RunState.FINISHING:
            break
    bench.logic.cancel(keepFinishedSlices=keep)
    bench.to_the_end(run)
    assert set(run.doubt) == (set(range(SHAPE[0])) if keep else set()) == set(run.writtenSlices)


def test_of_slices_that_a_stopped_run_leaves_the_doubt_is_known(wavering_bench, volume_node, node):
    bench = wavering_bench
    run = bench.begin(volume_node, outputNode=node, confidence=True)
    bench.until(lambda: run.finishedSlices == 4)
    bench.logic.cancel(keepFinishedSlices=True)
    bench.to_the_end(run)
    assert len(run.writtenSlices) == 4
    assert run.doubt == pytest.approx({index: doubt_in(index) for index in run.writtenSlices})
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    assert {k for k in range(SHAPE[0]) if percent[k].any()} == run.writtenSlices


@pytest.fixture
def box(scene):
    # i from 2 to 5, j from 1 to 4, all of k but the last
    return add_roi((3.5, 2.5, 2.0), (3.2, 3.2, 4.2))


INSIDE = np.zeros(SHAPE, bool)
INSIDE[:5, 1:5, 2:6] = True


def test_outside_of_a_box_the_confidence_stays_that_of_the_labels_there(
    wavering_bench, volume_node, node, box
):
    bench = wavering_bench
    bench.worker._find_confidence = lambda volume: np.ones(volume.shape)
    bench.segment(volume_node, outputNode=node, confidence=True)
    bench.worker._find_confidence = wavering
    run = bench.segment(volume_node, outputNode=node, confidence=True, regionNode=box)
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    np.testing.assert_array_equal(percent, np.where(INSIDE, PERCENT, 100))
    assert run.writtenSlices == set(range(5))
    assert run.doubt == {}, "of slices that two runs made, nothing is known as a whole"


def test_without_confidence_it_is_forgotten_only_in_the_box(wavering_bench, volume_node, node, box):
    bench = wavering_bench
    bench.segment(volume_node, outputNode=node, confidence=True)
    bench.segment(volume_node, outputNode=node, regionNode=box)
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    np.testing.assert_array_equal(percent, np.where(INSIDE, 0, PERCENT))


def test_in_a_new_segmentation_the_doubt_is_that_inside_of_the_box(
    wavering_bench, volume_node, box
):
    run = wavering_bench.segment(volume_node, confidence=True, regionNode=box)
    percent = slicer.util.arrayFromVolume(confidenceNode(run.segmentationNode))
    np.testing.assert_array_equal(percent, np.where(INSIDE, PERCENT, 0))
    assert run.doubt == pytest.approx({k: doubt_in(k, INSIDE) for k in range(5)})


def test_where_slices_along_another_axis_were_reviewed_the_confidence_stays(
    wavering_bench, volume_node, node
):
    bench = wavering_bench
    bench.worker._find_confidence = lambda volume: np.ones(volume.shape)
    bench.segment(volume_node, outputNode=node, confidence=True)
    ReviewedSlices(node, volumeGrid(volume_node), 2).tick(3)
    bench.worker._find_confidence = wavering
    run = bench.segment(volume_node, outputNode=node, confidence=True)
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    expected = PERCENT.copy()
    expected[:, :, 3] = 100
    np.testing.assert_array_equal(percent, expected)
    assert run.doubt == {}
