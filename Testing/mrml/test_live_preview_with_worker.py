"""The preview with nothing scripted: a worker process, the demonstration model, a scan."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from segmenting import label_map
from slice_nodes import add_slice_node, go_to

from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path
from GDLACore.worker import InProcessClient, ModelRequest, WorkerClient
from GDLASegmenterLib.LivePreview import LivePreview
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest

CARD, MODEL = find("demo-ct").card, ModelRequest("demo-ct")
SLICES = range(8, 12)
DEADLINE_S = 60


@pytest.fixture(scope="module")
def volume() -> Volume:
    return read_volume(resource_path("samples", "ct-abdomen-dicom"))


@pytest.fixture(scope="module")
def expected(volume: Volume) -> np.ndarray:
    with load_engine("demo-ct") as engine:
        return segment_volume(volume, engine, SegmentOptions(slices=SLICES))


@pytest.fixture
def red(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceNode]:
    node = add_slice_node("Red")
    yield node
    scene.RemoveNode(node)


class Preview:
    """A live preview with a client of its own, to be waited for."""

    def __init__(self, scene: slicer.vtkMRMLScene, client: WorkerClient, volume: Volume) -> None:
        self.client = client
        self.logic = SegmentationLogic(client, scene)
        self.live = LivePreview(self.logic, scene, lambda node: None)
        self.node = slicer.util.addVolumeFromArray(volume.array, volume.ijk_to_ras, "CT")

    def start(self) -> None:
        self.live.start(self.node, MODEL, CARD, "smooth")

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, "it takes too long"
            self.logic.update()
            self.live.update()
            threading.Event().wait(0.002)

    def shown(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the labels [k, j, i] in the overlay."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        (overlay,) = (node for node in nodes if node.GetHideFromEditors())
        return label_map(overlay, CARD, shape)

    def close(self) -> None:
        self.live.stop()
        self.logic.cleanup()


@pytest.fixture(params=[WorkerClient, InProcessClient])
def preview(scene, tmp_path: Path, volume, request) -> Iterator[Preview]:
    preview = Preview(scene, request.param(folder=tmp_path), volume)
    yield preview
    preview.close()
    assert list(tmp_path.iterdir()) == [], "the worker leaves files"


def test_what_is_shown_and_kept_is_what_a_run_finds(preview, red, volume, expected):
    go_to(red, preview.node, SLICES[0])
    preview.start()
    for index in (*SLICES, SLICES[1]):
        go_to(red, preview.node, index)
        preview.until(lambda index=index: preview.live.index == index)
        shown = preview.shown(volume.shape)
        np.testing.assert_array_equal(shown[index], expected[index])
        assert not np.delete(shown, index, axis=0).any()
    for _step in preview.live.keepSteps():
        pass
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    (kept,) = (node for node in nodes if not node.GetHideFromEditors())
    np.testing.assert_array_equal(label_map(kept, CARD, volume.shape)[index], expected[index])


def test_a_run_takes_over_and_the_preview_comes_back(preview, red, expected, volume):
    go_to(red, preview.node, SLICES[2])
    preview.start()
    request = SegmentationRequest(preview.node, MODEL, CARD, slices=SLICES)
    run = preview.logic.segment(request)
    preview.until(lambda: run.isOver)
    assert run.error is None
    preview.until(lambda: preview.live.index == SLICES[2])
    np.testing.assert_array_equal(label_map(run.segmentationNode, CARD, volume.shape), expected)
    np.testing.assert_array_equal(preview.shown(volume.shape)[SLICES[2]], expected[SLICES[2]])


def test_a_killed_worker_ends_the_preview_with_one_sentence_and_no_more(
    scene, tmp_path, red, volume, expected
):
    preview = Preview(scene, WorkerClient(folder=tmp_path), volume)
    go_to(red, preview.node, SLICES[0])
    preview.start()
    preview.until(lambda: preview.live.index is not None)
    go_to(red, preview.node, SLICES[2])
    os.kill(preview.client.pid, signal.SIGKILL)
    preview.until(lambda: preview.live.error is not None or preview.live.index is not None)
    if preview.live.error is not None:  # else it had answered before
        assert not preview.live.isOn
        preview.start()
    preview.until(lambda: preview.live.index == SLICES[2])
    np.testing.assert_array_equal(preview.shown(volume.shape)[SLICES[2]], expected[SLICES[2]])
    preview.close()
