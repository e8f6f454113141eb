"""Running again into a segmentation: nobody's work is harmed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_segment, paint
from phantom import make_card
from segmenting import Bench, label_map, voxels

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MANUAL = GENERATOR.integers(0, 2, SHAPE).astype(bool)


@pytest.fixture
def volume_node(scene):
    return slicer.util.addVolumeFromArray(FIRST.astype(np.int16), name="CT")


class Changing:
    """Finds FIRST in the first run and SECOND in those after it."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, volume):
        self.runs += 1
        return FIRST if self.runs == 1 else SECOND


@pytest.fixture
def bench(scene):
    return Bench(scene, labels=Changing())


@pytest.fixture
def node(bench, volume_node):
    return bench.segment(volume_node).segmentationNode


def mixed(slices: slice) -> np.ndarray:
    labels = FIRST.copy()
    labels[slices] = SECOND[slices]
    return labels


def test_a_second_run_replaces_the_models_own_segments(bench, volume_node, node):
    run = bench.segment(volume_node, outputNode=node)
    assert run.segmentationNode is node
    assert node.GetSegmentation().GetNumberOfSegments() == 3
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_slices_that_were_not_asked_for_keep_every_voxel(bench, volume_node, node):
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(2, 4)))


def test_a_manual_segment_keeps_every_voxel_and_stays_as_it_was_shown(bench, volume_node, node):
    free = MANUAL & (FIRST == 0)  # in the layer of the model's segments
    shared = add_segment(node, volume_node, "by hand", free)
    overlapping = add_segment(node, volume_node, "over others", MANUAL)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    display = node.GetDisplayNode()
    display.SetSegmentVisibility(shared, False)
    display.SetSegmentOpacity2DFill(overlapping, 0.25)
    node.GetSegmentation().GetSegment(shared).SetColor(0.1, 0.2, 0.3)
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), free)
    np.testing.assert_array_equal(voxels(node, "over others", SHAPE), MANUAL)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)
    assert not display.GetSegmentVisibility(shared)
    assert display.GetSegmentOpacity2DFill(overlapping) == 0.25
    assert node.GetSegmentation().GetSegment(shared).GetColor() == (0.1, 0.2, 0.3)


def test_a_segment_that_only_bears_a_structures_name_is_the_users(bench, volume_node, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    mine = add_segment(node, volume_node, "liver", MANUAL)
    bench.segment(volume_node, outputNode=node)
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 4
    segmentation.GetSegment(mine).SetName("mine")
    np.testing.assert_array_equal(voxels(node, "mine", SHAPE), MANUAL)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_a_renamed_and_recoloured_segment_of_the_model_is_still_its_own(bench, volume_node, node):
    segment = node.GetSegmentation().GetNthSegment(0)
    segment.SetName("Leber")
    segment.SetColor(0, 0, 1)
    bench.segment(volume_node, outputNode=node)
    assert node.GetSegmentation().GetNumberOfSegments() == 3
    np.testing.assert_array_equal(voxels(node, "Leber", SHAPE), SECOND == 1)
    assert segment.GetColor() == (0, 0, 1)


def test_a_removed_segment_of_the_model_comes_back_and_the_others_keep_their_voxels(
    bench, volume_node, node
):
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    expected = mixed(slice(2, 4))
    expected[:2][expected[:2] == 2] = 0
    expected[4:][expected[4:] == 2] = 0
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)


def test_voxels_that_the_user_corrected_outside_the_range_stay(bench, volume_node, node):
    liver = node.GetSegmentation().GetSegmentIdBySegmentName("liver")
    merge = slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX
    outside = MANUAL.copy()
    outside[2:4] = False
    paint(node, volume_node, liver, outside, merge)
    bench.segment(volume_node, outputNode=node, slices=range(2, 4))
    expected = (FIRST == 1) | outside
    expected[2:4] = SECOND[2:4] == 1
    np.testing.assert_array_equal(voxels(node, "liver", SHAPE), expected)
    spleen = FIRST == 2  # under the brush, but overlapping was allowed
    spleen[2:4] = SECOND[2:4] == 2
    np.testing.assert_array_equal(voxels(node, "spleen", SHAPE), spleen)


def test_two_models_in_one_segmentation_leave_each_other_alone(scene, bench, volume_node, node):
    other = Bench(
        scene,
        labels=lambda volume: SECOND % 3,
        card=dataclasses.replace(make_card(("vein", "spleen")), name="vessels"),
    )
    other.segment(volume_node, outputNode=node)
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(5)]
    assert names == ["liver", "spleen", "aorta", "vein", "spleen"]
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)
    np.testing.assert_array_equal(voxels(node, "vein", SHAPE), SECOND % 3 == 1)
    bench.segment(volume_node, outputNode=node, slices=range(1))
    np.testing.assert_array_equal(voxels(node, "vein", SHAPE), SECOND % 3 == 1)
    segmentation.GetNthSegment(4).SetName("their spleen")
    np.testing.assert_array_equal(voxels(node, "their spleen", SHAPE), SECOND % 3 == 2)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), mixed(slice(0, 1)))


def test_a_newer_version_of_the_model_updates_the_segments_of_the_older(scene, volume_node, node):
    newer = Bench(
        scene, labels=lambda volume: SECOND, card=dataclasses.replace(make_card(), version="2.0")
    )
    newer.segment(volume_node, outputNode=node)
    assert node.GetSegmentation().GetNumberOfSegments() == 3
    np.testing.assert_array_equal(label_map(node, newer.card, SHAPE), SECOND)


def test_an_empty_segmentation_takes_the_volumes_grid_and_transform(scene, bench, volume_node):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "prepared")
    bench.segment(volume_node, outputNode=node)
    assert node.GetParentTransformNode() is transform
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume_node
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_a_segmentation_that_does_not_say_its_grid_is_written_on_that_of_its_voxels(
    bench, volume_node, node
):
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(name, "")
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_surfaces_that_are_shown_stay_while_slices_arrive_and_are_renewed_at_the_end(
    bench, volume_node, node
):
    add_segment(node, volume_node, "by hand", MANUAL)
    node.CreateClosedSurfaceRepresentation()
    segmentation = node.GetSegmentation()
    ids = segmentation.GetSegmentIDs()
    before = {one: surface_of(segmentation, one) for one in ids}
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices > 0)
    assert all(surface_of(segmentation, one) is before[one] for one in ids)
    bench.to_the_end(run)
    points = [surface_of(segmentation, one).GetNumberOfPoints() for one in ids]
    assert surface_of(segmentation, ids[3]) is before[ids[3]], "by hand"
    node.RemoveClosedSurfaceRepresentation()
    node.CreateClosedSurfaceRepresentation()
    assert points == [surface_of(segmentation, one).GetNumberOfPoints() for one in ids]


def test_surfaces_that_nobody_asked_for_are_not_made(bench, volume_node, node):
    bench.segment(volume_node, outputNode=node)
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")


def surface_of(segmentation, segmentID):
    return segmentation.GetSegment(segmentID).GetRepresentation("Closed surface")
