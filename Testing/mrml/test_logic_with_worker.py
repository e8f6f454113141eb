"""The whole way with nothing scripted: a worker process, the demonstration model, a scan."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import slicer
import slicer.util
from node_watch import NodeWatch
from segmenting import Bench, label_map

from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.model.catalogue import find
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path
from GDLACore.worker import InProcessClient, ModelRequest, WorkerClient

CARD = find("demo-ct").card
SLICES = range(6, 14)
DEADLINE_S = 60


@pytest.fixture(scope="module")
def volume():
    return read_volume(resource_path("samples", "ct-abdomen-dicom"))


@pytest.fixture(scope="module")
def expected(volume):
    with load_engine("demo-ct") as engine:
        return {
            largest: segment_volume(
                volume, engine, SegmentOptions(slices=SLICES, largest_component=largest)
            )
            for largest in (False, True)
        }


@pytest.fixture
def volume_node(scene, volume):
    return slicer.util.addVolumeFromArray(volume.array, volume.ijk_to_ras, "CT")


def tick() -> None:
    """Leave the processor to the worker for a moment, as a window's timer does."""
    threading.Event().wait(0.002)


class RealBench(Bench):
    """A logic with a real client, to be waited for."""

    def __init__(self, scene, client) -> None:
        super().__init__(scene, card=CARD)
        self.worker.close()
        self.worker = self.logic.worker = client

    def request(self, volume_node, **options):
        from GDLASegmenterLib.SegmentationRequest import SegmentationRequest

        options.setdefault("slices", SLICES)
        return SegmentationRequest(volume_node, ModelRequest("demo-ct"), CARD, **options)

    def until(self, condition):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, "it takes too long"
            self.logic.update()
            tick()

    def to_the_end(self, run):
        self.until(lambda: run.isOver)
        return run


@pytest.fixture(params=[WorkerClient, InProcessClient])
def bench(scene, tmp_path, request):
    bench = RealBench(scene, request.param(folder=tmp_path))
    yield bench
    bench.logic.cleanup()
    assert list(tmp_path.iterdir()) == [], "the worker leaves files"


@pytest.mark.parametrize("largest", [False, True])
def test_the_node_holds_exactly_what_the_pipeline_finds(bench, volume_node, expected, largest):
    run = bench.segment(volume_node, largestComponent=largest)
    found = label_map(run.segmentationNode, CARD, expected[largest].shape)
    np.testing.assert_array_equal(found, expected[largest])
    assert run.finishedSlices == len(SLICES)
    assert "CPU" in run.device
    assert run.structures == np.count_nonzero(np.bincount(expected[largest].ravel())[1:])


def test_closing_the_scene_leaves_no_voxels_in_files(bench, scene, volume_node, tmp_path):
    bench.segment(volume_node, confidence=True)
    bench.until(lambda: [path.name for path in tmp_path.glob("*/*.npy")] == ["volume-1.npy"])
    scene.Clear(0)
    bench.until(lambda: list(tmp_path.glob("*/*.npy")) == [])


def test_a_volume_that_changed_between_two_runs_is_segmented_as_it_is_now(
    bench, volume_node, expected, volume
):
    node = bench.segment(volume_node).segmentationNode
    slicer.util.updateVolumeFromArray(volume_node, np.full_like(volume.array, -1000))
    bench.segment(volume_node, outputNode=node)
    found = label_map(node, CARD, volume.shape)
    assert expected[False].any() and not found.any()


def test_a_killed_worker_costs_one_run_and_no_more(scene, tmp_path, volume):
    bench = RealBench(scene, WorkerClient(folder=tmp_path))
    # So many slices that the worker is killed before the last, however late that is.
    tall = np.resize(volume.array[:, ::2, ::2], (200, 256, 256))
    volume_node = slicer.util.addVolumeFromArray(tall, volume.ijk_to_ras, "CT")
    node = bench.segment(volume_node).segmentationNode
    before = label_map(node, CARD, tall.shape)
    run = bench.begin(volume_node, outputNode=node, slices=None)
    bench.until(lambda: run.finishedSlices > 0)
    os.kill(bench.worker.pid, signal.SIGKILL)
    bench.to_the_end(run)
    assert run.state.value == "failed"
    assert "SIGKILL" in run.error.message
    after = label_map(node, CARD, tall.shape)
    whole = slice(SLICES.start, SLICES.stop)
    np.testing.assert_array_equal(after[whole], before[whole])
    assert before[whole].any()
    bench.segment(volume_node, outputNode=node)
    bench.logic.cleanup()


def test_cancelling_again_and_again_leaves_no_node_behind(scene, tmp_path, volume_node):
    bench = RealBench(scene, WorkerClient(folder=tmp_path))
    moments = np.random.default_rng(0).integers(0, 12, 25)
    nodes = scene.GetNumberOfNodes()
    watch = NodeWatch(scene)
    for ticks in moments:
        run = bench.begin(volume_node, slices=None)
        for _ in range(ticks):
            bench.logic.update()
            tick()  # the cancel is to come at another moment each time
        bench.logic.cancel(keepFinishedSlices=False)
        bench.to_the_end(run)
        bench.until(lambda: not bench.logic.isBusy)
        assert run.error is None
        assert scene.GetNumberOfNodes() == nodes
    del run
    bench.logic.run = None
    assert watch.leaked() == []
    bench.logic.cleanup()
    assert list(tmp_path.iterdir()) == []
