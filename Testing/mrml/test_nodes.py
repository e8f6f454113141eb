"""The nodes to test with are what they are called, and nodes that are left behind are found."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from node_watch import NodeWatch
from nodes import (
    add_color_volume,
    add_label_map,
    add_roi,
    add_segment,
    add_segmentation,
    add_volume,
    add_volume_sequence,
    put_into_study,
    separate_layers,
    show_surfaces,
)

SHAPE = (6, 7, 8)
LEFT, RIGHT = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
LEFT[1:4, 2:5, 1:3] = RIGHT[1:4, 2:5, 5:7] = True


def _layers(node: slicer.vtkMRMLSegmentationNode) -> int:
    return node.GetSegmentation().GetNumberOfLayers()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_color_volume_keeps_its_channels(channels):
    array = np.arange(np.prod(SHAPE) * channels, dtype=np.uint8).reshape(*SHAPE, channels)
    volume = add_color_volume(array)
    assert volume.GetImageData().GetNumberOfScalarComponents() == channels
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), array)


def test_a_label_map_is_a_label_map_and_has_colors():
    assert add_label_map(LEFT.astype(np.uint8)).GetDisplayNode().GetColorNode()


def test_a_sequence_shows_one_frame_at_a_time():
    frames = [np.full(SHAPE, value, np.int16) for value in (10, 20, 30)]
    browser, volume = add_volume_sequence(frames)
    for index, frame in enumerate(frames):
        browser.SetSelectedItemNumber(index)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), frame)


def test_a_study_has_its_place_under_a_patient():
    volume = add_volume(np.zeros(SHAPE, np.int16))
    folder = put_into_study(volume)
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert tree.GetItemParent(tree.GetItemByDataNode(volume)) == folder
    above = [folder, tree.GetItemParent(folder), tree.GetItemParent(tree.GetItemParent(folder))]
    assert [tree.GetItemLevel(item) for item in above] == ["Folder", "Study", "Patient"]


def test_a_region_has_its_middle_and_its_size():
    region = add_roi((1, 2, 3), (10, 20, 30))
    bounds = np.zeros(6)
    region.GetRASBounds(bounds)
    np.testing.assert_allclose(bounds, [-4, 6, -8, 12, -12, 18])


def test_segments_share_a_layer_until_they_overlap():
    volume = add_volume(np.zeros(SHAPE, np.int16))
    node = add_segmentation(volume, {"left": LEFT, "right": RIGHT})
    assert _layers(node) == 1
    add_segment(node, volume, "both", LEFT | RIGHT)
    assert _layers(node) == 2
    for name, mask in {"left": LEFT, "right": RIGHT, "both": LEFT | RIGHT}.items():
        segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
        np.testing.assert_array_equal(found, mask)


def test_layers_are_separated():
    volume = add_volume(np.zeros(SHAPE, np.int16))
    node = add_segmentation(volume, {"left": LEFT, "right": RIGHT})
    separate_layers(node)
    assert _layers(node) == 2


def test_surfaces_are_shown():
    volume = add_volume(np.zeros(SHAPE, np.int16))
    node = add_segmentation(volume, {"left": LEFT})
    show_surfaces(node)
    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    assert node.GetClosedSurfaceInternalRepresentation(segment_id).GetNumberOfPoints() > 10


def test_a_node_that_somebody_holds_on_to_is_a_leak(scene):
    watch = NodeWatch(scene)
    volume = add_volume(np.zeros(SHAPE, np.int16), name="kept")
    assert watch.leaked() == []
    scene.RemoveNode(volume)
    assert "vtkMRMLScalarVolumeNode kept" in watch.leaked()
    del volume
    assert watch.leaked() == []
