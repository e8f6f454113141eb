"""Running again into a segmentation that was saved and loaded, perhaps with its volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_segment, add_volume
from phantom import make_card
from segmenting import Bench, values_as_labels
from storage import KINDS, ijk_to_ras, shape
from world import check_segments, scan, segment_positions

CARD = make_card()
NAMES = {label.value: label.name for label in CARD.labels}


@pytest.fixture(params=list(KINDS))
def volume_node(scene, request):
    size = shape(request.param, "coronal")
    matrix = ijk_to_ras(request.param, "coronal", (1, -1, 1))
    return add_volume(np.zeros(size, np.int16), matrix, "CT")


def _nothing(volume):
    return np.zeros(volume.shape, np.uint8)


def sorted_rows(points):
    points = np.round(points, 3)
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("volume", ["kept", "reloaded"])
def test_the_models_segments_are_known_again_and_written_in_their_place(
    scene, volume_node, tmp_path, volume
):
    expected = scan(volume_node)
    finds = {"what is there": values_as_labels, "nothing": _nothing}
    found = ["what is there", "nothing", "what is there", "what is there"]
    bench = Bench(scene, labels=lambda volume: finds[found.pop(0)](volume), card=CARD)
    node = bench.segment(volume_node).segmentationNode
    by_hand = np.zeros(expected.shape, bool)
    by_hand[2:5, 1:4, 3:9] = True
    add_segment(node, volume_node, "by hand", by_hand)
    segmentation = node.GetSegmentation()
    mine = segment_positions(node, segmentation.GetSegmentIdBySegmentName("by hand"))
    slicer.util.saveNode(node, str(tmp_path / "labels.seg.nrrd"))
    slicer.util.saveNode(volume_node, str(tmp_path / "CT.nrrd"))
    scene.RemoveNode(node)
    if volume == "reloaded":
        scene.RemoveNode(volume_node)
        volume_node = slicer.util.loadVolume(str(tmp_path / "CT.nrrd"))
        expected = slicer.util.arrayFromVolume(volume_node).copy()
    node = slicer.util.loadSegmentation(str(tmp_path / "labels.seg.nrrd"))

    segmentation = node.GetSegmentation()
    bench.segment(volume_node, outputNode=node, slices=range(1, 4))
    bench.segment(volume_node, outputNode=node, slices=range(1, 4))
    bench.segment(volume_node, outputNode=node)
    assert segmentation.GetNumberOfSegments() == 4
    check_segments(node, NAMES, expected)
    found = segment_positions(node, segmentation.GetSegmentIdBySegmentName("by hand"))
    np.testing.assert_array_equal(sorted_rows(found), sorted_rows(mine))
