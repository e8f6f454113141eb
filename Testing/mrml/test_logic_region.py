"""Segmenting inside a box: outside of it not a voxel changes."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from nodes import add_linear_transform, add_roi, add_volume
from segmenting import Bench, label_map
from world import voxel_positions

from GDLACore.errors import VolumeError

SHAPE = (9, 14, 12)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
ASLANT = np.eye(4)  # turned, twice: Slicer leaves open what a skewed box is
ASLANT[:3, :3] = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3
ASLANT[:3, :3] @= np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
MIDDLE = np.array([5.5, -6.5, 8.0])  # of the volume
ASLANT[:3, 3] = MIDDLE - ASLANT[:3, :3] @ MIDDLE + (0.41, -0.33, 0.23)
PLACES = {
    "straight": (np.eye(4), np.eye(4)),
    "a box aslant": (np.eye(4), ASLANT),
    "a volume aslant": (ASLANT, np.eye(4)),
}


@pytest.fixture(params=list(PLACES))
def place(scene, request):
    """A volume and a box over a part of it, each perhaps under a transform."""
    of_volume, of_box = PLACES[request.param]
    volume_node = add_volume(FIRST.astype(np.int16), np.diag([1.0, -1.0, 2.0, 1.0]))
    box = add_roi((5.2, -6.3, 8.1), (5.0, 7.0, 6.0))
    volume_node.SetAndObserveTransformNodeID(add_linear_transform(of_volume).GetID())
    box.SetAndObserveTransformNodeID(add_linear_transform(of_box).GetID())
    return volume_node, box


def inside(volume_node, box) -> np.ndarray:
    """Return which voxels [k, j, i] are in the box, as Slicer says."""
    points = voxel_positions(volume_node)
    return np.array(
        [box.IsPointInROIWorld(point) for point in points.reshape(-1, 3)], bool
    ).reshape(SHAPE)


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results), batch=3)


def test_a_new_segmentation_holds_only_what_is_in_the_box(bench, place):
    volume_node, box = place
    within = inside(volume_node, box)
    assert 50 < within.sum() < within.size / 2
    node = bench.segment(volume_node, regionNode=box).segmentationNode
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), np.where(within, FIRST, 0))


def test_in_an_existing_segmentation_everything_outside_the_box_stays(bench, place):
    volume_node, box = place
    whole = bench.segment(volume_node)
    node = whole.segmentationNode
    run = bench.segment(volume_node, regionNode=box, outputNode=node)
    within = inside(volume_node, box)
    expected = np.where(within, SECOND, FIRST)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)
    assert run.finishedSlices < whole.finishedSlices, (
        "only the slices that the box meets are computed"
    )


def test_a_run_in_a_box_can_be_taken_back(bench, place):
    volume_node, box = place
    node = bench.segment(volume_node).segmentationNode
    run = bench.begin(volume_node, regionNode=box, outputNode=node)
    bench.until(lambda: run.finishedSlices == 3)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_a_box_beside_the_volume_is_refused(scene, bench):
    volume_node = add_volume(FIRST.astype(np.int16))
    box = add_roi((500, 0, 0), (5, 5, 5), "there")
    with pytest.raises(VolumeError, match="there and CT have no voxel in common"):
        bench.begin(volume_node, regionNode=box)


def test_a_box_that_was_not_placed_is_refused(scene, bench):
    volume_node = add_volume(FIRST.astype(np.int16))
    box = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    with pytest.raises(VolumeError, match="box has not been placed"):
        bench.begin(volume_node, regionNode=box)


def test_the_box_counts_as_it_was_at_the_click(scene, bench):
    volume_node = add_volume(FIRST.astype(np.int16))
    box = add_roi((5, 6, 4), (5, 5, 5))
    within = inside(volume_node, box)
    run = bench.begin(volume_node, regionNode=box)
    box.SetCenter(0, 0, 0)
    slicer.mrmlScene.RemoveNode(box)
    bench.to_the_end(run)
    found = label_map(run.segmentationNode, bench.card, SHAPE)
    np.testing.assert_array_equal(found, np.where(within, FIRST, 0))
