"""A run ends as it was asked to, at whatever moment, and lets go of everything."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from nodes import add_volume
from segmenting import LABELMAP, Bench, label_map

from GDLACore.errors import WorkerError
from GDLACore.worker import SlicesDone, Stopped

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))


@pytest.fixture
def volume_node(scene):
    return add_volume(FIRST.astype(np.int16))


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results))


@pytest.fixture
def node(bench, volume_node):
    return bench.segment(volume_node).segmentationNode


def receive_all(bench, run):
    """Let the worker finish, with all that it says waiting to be handled."""
    while bench.worker.busy:
        for event in bench.worker.poll():
            run.receive(event)


def until_finishing(run):
    while run.state.value != "finishing":
        assert run.advance()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("moment", ["finished is waiting", "finishing"])
def test_a_cancel_that_comes_late_is_heeded_all_the_same(bench, volume_node, node, moment, keep):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    receive_all(bench, run)
    if moment == "finishing":
        until_finishing(run)
    bench.logic.cancel(keepFinishedSlices=keep)
    bench.to_the_end(run)
    assert run.error is None
    found = label_map(node, bench.card, SHAPE)
    np.testing.assert_array_equal(found, SECOND if keep else FIRST)
    assert run.finishedSlices == (6 if keep else 0)
    if moment == "finishing" and keep:  # there was nothing left to be cancelled
        assert run.state.value == "done"
    else:
        assert run.state.value == "cancelled"


def test_cancelling_again_and_again_does_not_keep_a_run_from_ending(bench, volume_node, node):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    receive_all(bench, run)
    steps = 0
    while not run.isOver:
        bench.logic.cancel(keepFinishedSlices=False)
        run.advance()
        steps += 1
        assert steps < 100, "it never ends"
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_after_its_end_a_run_keeps_no_layer_and_no_labels(bench, volume_node, node):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    output = run._output
    assert output._before
    bench.to_the_end(run)
    assert not output._before and run._labels is None


def test_layers_that_were_replaced_are_let_go_of(bench, volume_node, node):
    image = vtk.vtkWeakReference()
    image.Set(node.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP))
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    written = vtk.vtkWeakReference()
    written.Set(node.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP))
    bench.to_the_end(run)
    node.GetSegmentation().RemoveAllSegments()
    gc.collect()
    assert image.Get() is None and written.Get() is None
    assert bench.logic.run is run, "which is all that still is there"


def test_a_run_that_cannot_write_stops_the_worker(scene, volume_node, node, caplog):
    def fail(segmentation_node):
        raise RuntimeError("no history")

    bench = Bench(scene, save_state_for_undo=fail)
    run = bench.to_the_end(bench.begin(volume_node, outputNode=node))
    assert run.state.value == "failed" and "could not be written" in run.error.message
    assert "no history" in caplog.text
    (event,) = bench.worker.poll()
    assert isinstance(event, Stopped)
    assert not bench.logic.isBusy


def test_closing_the_scene_stops_the_worker(scene, bench, volume_node):
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 2)
    scene.Clear(0)
    (event,) = bench.worker.poll()
    assert isinstance(event, Stopped)


def test_closing_the_scene_has_the_worker_forget_its_files(scene, bench, volume_node):
    bench.segment(volume_node)
    assert bench.worker.forgotten == 0
    scene.Clear(0)
    assert bench.worker.forgotten == 1


def test_what_a_worker_still_says_of_another_job_is_not_heard(bench, volume_node, node):
    before = bench.begin(volume_node, outputNode=node)
    bench.logic.cancel()
    bench.to_the_end(before)
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.state.value == "running")
    run.receive(SlicesDone(before._job, 0, (0, 1), 2, 6))
    assert not run.advance()
    assert run.finishedSlices == 0


def test_one_update_does_not_take_all_there_is_to_do(bench, volume_node, monkeypatch):
    run = bench.begin(volume_node)
    receive_all(bench, run)
    seconds = iter(range(1000))  # a clock by which every step takes a second
    clock = SimpleNamespace(perf_counter=lambda: next(seconds))
    monkeypatch.setattr("GDLASegmenterLib.SegmentationLogic.time", clock)
    bench.logic.update()
    assert not run.isOver and run.finishedSlices == 0
    bench.to_the_end(run)


def test_after_cleanup_a_logic_does_not_hear_of_its_scene(scene, bench, volume_node):
    run = bench.segment(volume_node)
    bench.logic.cleanup()
    scene.Clear(0)
    assert bench.logic.run is run


def test_a_failure_after_a_cancel_still_takes_back_what_was_asked(bench, volume_node, node):
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.worker.fail(WorkerError("It died.", "Try again."))
    bench.to_the_end(run)
    assert run.state.value == "failed"
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_no_node_stays_of_a_new_segmentation_that_was_given_a_file(scene, bench, volume_node):
    nodes = scene.GetNumberOfNodes()
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 2)
    run.segmentationNode.AddDefaultStorageNode()
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert scene.GetNumberOfNodes() == nodes
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
