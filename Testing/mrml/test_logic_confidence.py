"""How sure the network is of its labels, beside those of a run."""

from __future__ import annotations

import numpy as np
import pytest
import slicer.util
from editing import Editor
from nodes import add_volume
from segmenting import Bench

from GDLASegmenterLib.ConfidenceVolume import confidenceNode

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND, THIRD = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(3))
VOXEL = (2, 3, 4)


@pytest.fixture
def volume_node(scene):
    return add_volume(FIRST.astype(np.int16))


@pytest.fixture
def editor(scene, volume_node):
    return Editor(scene, volume_node, SHAPE)


@pytest.fixture
def bench(scene, editor):
    results = iter([FIRST, SECOND, THIRD, FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results), save_state_for_undo=editor.save_state)


@pytest.fixture
def node(bench, volume_node, editor):
    node = bench.segment(volume_node).segmentationNode
    editor.edit(node)
    return node


def test_doubt_and_confidence_are_those_of_the_slices_that_were_written(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    run = bench.segment(volume_node, outputNode=node, confidence=True, slices=range(1, 4))
    assert bench.worker.requests[-1][2].confidence
    assert run.doubt == {1: 0.0, 2: 0.0, 3: 0.0}
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
