"""What the user does in the segmentation while slices arrive stays, however the run ends."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_roi, add_segment, add_segmentation, add_volume, paint, show_surfaces
from segmenting import Bench, label_map, stray_values, voxels
from world import voxel_positions

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = GENERATOR.integers(0, 2, SHAPE) == 1
ADJACENT = np.zeros(SHAPE, np.uint8)  # small: a layer of it is cropped in the end
ADJACENT[2:4, 2:5, 2:5] = 1


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


def begin(bench, volume_node, **options):
    """Begin a run and return it when its first two slices are in the segmentation."""
    run = bench.begin(volume_node, **options)
    bench.until(lambda: run.finishedSlices == 2)
    return run


def take_back(bench, run):
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert run.error is None


def paint_voxel(node, volume_node, name, voxel):
    mask = voxels(node, name, SHAPE)
    mask[voxel] = True
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    paint(node, volume_node, segment_id, mask)


@pytest.mark.parametrize("end", ["taken back", "volume removed"])
def test_a_new_node_with_a_segment_of_the_users_stays_without_the_models(
    scene, bench, volume_node, end
):
    run = begin(bench, volume_node)
    node = run.segmentationNode
    add_segment(node, volume_node, "lesion", MANUAL)
    if end == "taken back":
        bench.logic.cancel(keepFinishedSlices=False)
    else:
        scene.RemoveNode(volume_node)
    bench.to_the_end(run)
    assert scene.IsNodePresent(node)
    segmentation = node.GetSegmentation()
    names = [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
    assert names == ["lesion"]
    np.testing.assert_array_equal(voxels(node, "lesion", SHAPE), MANUAL)


def test_a_first_run_into_the_users_node_is_taken_back_with_its_segments(bench, volume_node):
    node = add_segmentation(volume_node, {"mine": MANUAL})
    show_surfaces(node)
    take_back(bench, begin(bench, volume_node, outputNode=node))
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegment(0).GetName()] == ["mine"]
    assert segmentation.GetNumberOfSegments() == 1
    np.testing.assert_array_equal(voxels(node, "mine", SHAPE), MANUAL)


@pytest.mark.parametrize("end", ["taken back", "volume changed"])
def test_a_finished_slice_that_was_painted_in_stays_as_it_is_seen(bench, volume_node, node, end):
    run = begin(bench, volume_node, outputNode=node)
    j, i = np.argwhere((SECOND[0] == 0) & (FIRST[0] == 0))[0]
    paint_voxel(node, volume_node, "liver", (0, j, i))
    if end == "taken back":
        take_back(bench, run)
    else:
        slicer.util.arrayFromVolumeModified(volume_node)
        bench.to_the_end(run)
        assert run.segmentationNode is not node
    expected = FIRST.copy()
    expected[0], expected[0, j, i] = SECOND[0], 1
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)


def test_taking_back_a_run_in_a_box_leaves_slices_painted_beside_it(bench, volume_node, node):
    box = add_roi((5, 5, 2.5), (3, 3, 9))
    outside = ~np.array(
        [box.IsPointInROIWorld(one) for one in voxel_positions(volume_node).reshape(-1, 3)], bool
    ).reshape(SHAPE)
    run = begin(bench, volume_node, outputNode=node, regionNode=box)
    # by chance what the model found there, too, but did not write
    j, i = np.argwhere(outside[0] & (SECOND[0] == 1) & (FIRST[0] == 0))[0]
    paint_voxel(node, volume_node, "liver", (0, j, i))
    take_back(bench, run)
    expected = FIRST.copy()
    expected[0] = np.where(outside[0], FIRST[0], SECOND[0])
    expected[0, j, i] = 1
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)


def test_a_segment_removed_meanwhile_leaves_nothing_in_the_layer(bench, volume_node, node):
    run = begin(bench, volume_node, outputNode=node)
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    take_back(bench, run)
    np.testing.assert_array_equal(voxels(node, "liver", SHAPE), FIRST == 1)
    np.testing.assert_array_equal(voxels(node, "aorta", SHAPE), FIRST == 3)
    assert stray_values(node) == set()


def test_layers_collapsed_meanwhile_are_told_apart_again(bench, volume_node, node):
    add_segment(node, volume_node, "over others", MANUAL)
    run = begin(bench, volume_node, outputNode=node)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    bench.to_the_end(run)
    np.testing.assert_array_equal(voxels(node, "over others", SHAPE), MANUAL)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)
    assert stray_values(node) == set()


def test_no_voxel_stays_behind_where_a_segment_of_the_users_shared_the_layer(
    bench, volume_node, node
):
    free = MANUAL & (FIRST == 0)
    add_segment(node, volume_node, "by hand", free)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), free)
    assert stray_values(node) == set()


def test_an_empty_segment_that_comes_into_the_layer_after_the_last_slice_is_the_users(scene):
    volume_node = add_volume(ADJACENT.astype(np.int16))
    bench = Bench(scene)
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    node = run.segmentationNode
    segment_id = node.GetSegmentation().AddEmptySegment("", "lesion")
    bench.to_the_end(run)
    assert stray_values(node) == set()
    assert not voxels(node, "lesion", SHAPE).any()
    lesion = (ADJACENT == 0) & MANUAL
    paint(node, volume_node, segment_id, lesion)
    np.testing.assert_array_equal(voxels(node, "lesion", SHAPE), lesion)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), ADJACENT)
    assert stray_values(node) == set()
