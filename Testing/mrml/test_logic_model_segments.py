"""Which segments are a model's, whatever the user, files and other versions have made of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import vtk
from nodes import add_volume, put_into_study
from phantom import make_card
from segmenting import Bench, label_map, voxels

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
STATUS = slicer.vtkSlicerSegmentationsModuleLogic


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


def tag(segment, name):
    text = vtk.reference("")
    return str(text) if segment.GetTag(name, text) else None


def copy_of(segment, name):
    copy = slicer.vtkSegment()
    copy.DeepCopy(segment)
    copy.SetName(name)
    return copy


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_copy_under_another_name_is_the_users_wherever_it_is_listed(
    bench, volume_node, node, place
):
    segmentation = node.GetSegmentation()
    first = segmentation.GetNthSegmentID(0)
    copy = copy_of(segmentation.GetSegment(first), "my liver")
    segmentation.AddSegment(copy, "mine", first if place == "before" else "")
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(voxels(node, "my liver", SHAPE), FIRST == 1)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


@pytest.mark.parametrize("renamed", [False, True])
def test_of_copies_that_are_named_alike_the_first_is_the_models(bench, volume_node, node, renamed):
    segmentation = node.GetSegmentation()
    original = segmentation.GetNthSegment(0)
    if renamed:
        original.SetName("Leber")
    copy = copy_of(original, original.GetName())
    segmentation.AddSegment(copy, "copy")
    bench.segment(volume_node, outputNode=node)
    original.SetName("first")
    copy.SetName("second")
    np.testing.assert_array_equal(voxels(node, "first", SHAPE), SECOND == 1)
    np.testing.assert_array_equal(voxels(node, "second", SHAPE), FIRST == 1)


def test_segments_of_files_that_name_only_the_model_are_known_by_their_names(
    bench, volume_node, node
):
    segmentation = node.GetSegmentation()
    for index in range(3):
        segmentation.GetNthSegment(index).RemoveTag("GDLA.Label")
    bench.segment(volume_node, outputNode=node)
    assert segmentation.GetNumberOfSegments() == 3
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_a_segment_that_comes_back_takes_a_value_that_is_free(bench, volume_node, node):
    segmentation = node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    segment = segmentation.GetNthSegment(0)
    image = segment.GetRepresentation("Binary labelmap")
    scalars = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    scalars[scalars == segment.GetLabelValue()] = 1  # that of the segment that was removed
    segment.SetLabelValue(1)
    image.Modified()
    bench.segment(volume_node, outputNode=node)
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), SECOND)


def test_segments_say_which_version_wrote_to_them_last(scene, volume_node, node):
    newer = Bench(scene, card=dataclasses.replace(make_card(), version="2.0"))
    newer.segment(volume_node, outputNode=node)
    segmentation = node.GetSegmentation()
    found = {tag(segmentation.GetNthSegment(index), "GDLA.Model") for index in range(3)}
    assert found == {"abdomen:2.0"}


def test_a_newer_version_may_know_more_than_255_structures(scene):
    labels = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 301).astype(np.uint16)
    names = tuple(f"part {number}" for number in range(300))
    volume_node = add_volume(labels.astype(np.int16))
    older = Bench(
        scene,
        labels=lambda volume: (labels % 4).astype(np.uint8),  # in a layer of full size
        card=make_card(names[:3]),
    )
    node = older.segment(volume_node).segmentationNode
    card = dataclasses.replace(make_card(names), version="2.0")
    Bench(scene, labels=lambda volume: labels, card=card).segment(volume_node, outputNode=node)
    for value in (1, 3, 4, 255, 256, 257, 300):
        np.testing.assert_array_equal(voxels(node, f"part {value - 1}", SHAPE), labels == value)


def test_completed_is_for_the_user_to_say_of_what_is_there_now(bench, volume_node, node):
    segments = [node.GetSegmentation().GetNthSegment(index) for index in range(3)]
    STATUS.SetSegmentStatus(segments[0], STATUS.Completed)
    STATUS.SetSegmentStatus(segments[1], STATUS.Flagged)
    bench.segment(volume_node, outputNode=node)
    found = [STATUS.GetSegmentStatus(segment) for segment in segments]
    assert found == [STATUS.InProgress, STATUS.Flagged, STATUS.InProgress]


def test_a_segmentation_that_was_there_stays_at_its_place_in_the_tree(scene, bench, volume_node):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "prepared")
    folder = put_into_study(node)
    bench.segment(volume_node, outputNode=node)
    tree = scene.GetSubjectHierarchyNode()
    assert tree.GetItemParent(tree.GetItemByDataNode(node)) == folder


def test_what_is_hidden_stays_hidden(bench, volume_node, node):
    display = node.GetDisplayNode()
    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    display.SetSegmentVisibility(segment_id, False)
    display.SetVisibility(False)
    bench.segment(volume_node, outputNode=node)
    assert not display.GetSegmentVisibility(segment_id) and not display.GetVisibility()


def test_the_model_is_told_the_modality_that_the_importer_noted(scene, bench, volume_node):
    tree = scene.GetSubjectHierarchyNode()
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    tree.SetItemAttribute(tree.GetItemByDataNode(volume_node), name, "CT")
    bench.segment(volume_node)
    volume, _, _ = bench.worker.requests[0]
    assert volume.modality == "CT"
