"""Nothing of a segmentation stays in memory once it has left the scene."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import slicer
from node_watch import NodeWatch
from nodes import add_volume, show_surfaces
from segmenting import Bench

LABELS = np.random.default_rng(3).integers(0, 4, (6, 7, 8)).astype(np.int16)


def _finished(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    bench.segment(add_volume(LABELS))


def _twice_into_one_node_with_surfaces(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    volume = add_volume(LABELS)
    node = bench.segment(volume).segmentationNode
    show_surfaces(node)
    bench.segment(volume, outputNode=node)


def _cancelled_and_kept(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    _cancelled(bench, keep=True)


def _cancelled_and_taken_back(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    _cancelled(bench, keep=False)


def _cancelled(bench: Bench, keep: bool) -> None:
    run = bench.begin(add_volume(LABELS))
    bench.until(lambda: run.finishedSlices > 0)
    bench.logic.cancel(keepFinishedSlices=keep)
    bench.to_the_end(run)


def _volume_removed_meanwhile(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    volume = add_volume(LABELS)
    run = bench.begin(volume)
    bench.until(lambda: run.finishedSlices > 0)
    scene.RemoveNode(volume)
    bench.to_the_end(run)


def _scene_closed_meanwhile(bench: Bench, scene: slicer.vtkMRMLScene) -> None:
    run = bench.begin(add_volume(LABELS))
    bench.until(lambda: run.finishedSlices > 0)
    scene.Clear(0)
    bench.logic.update()


@pytest.mark.parametrize(
    "happening",
    [
        _finished,
        _twice_into_one_node_with_surfaces,
        _cancelled_and_kept,
        _cancelled_and_taken_back,
        _volume_removed_meanwhile,
        _scene_closed_meanwhile,
    ],
)
def test_no_node_outlives_its_scene(
    scene: slicer.vtkMRMLScene, happening: Callable[[Bench, slicer.vtkMRMLScene], None]
) -> None:
    watch = NodeWatch(scene)
    bench = Bench(scene)
    happening(bench, scene)
    bench.logic.update()
    assert bench.logic.worker.requests, "nothing was segmented"
    bench.worker.requests.clear()  # these two only tests keep
    bench.undo_states.clear()
    scene.Clear(0)
    bench.logic.update()
    assert watch.leaked() == []
    bench.logic.cleanup()
