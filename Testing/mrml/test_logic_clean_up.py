"""Keeping the largest part of each structure, which the worker does once all slices are shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer.util
from nodes import add_roi, add_segment
from segmenting import Bench, label_map, voxels
from vtk.util.numpy_support import vtk_to_numpy

SHAPE = (6, 9, 8)
WHOLE = np.zeros(SHAPE, np.uint8)
WHOLE[1:5, 1:4, 1:4] = 1
WHOLE[2:5, 5:8, 2:6] = 2
LARGEST = WHOLE.copy()
WHOLE[0, 8, 7] = WHOLE[3, 0, 7] = 1
WHOLE[5, 0, 0] = 2


@pytest.fixture
def volume_node(scene):
    return slicer.util.addVolumeFromArray(WHOLE.astype(np.int16), name="CT")


def test_the_small_parts_go_at_the_end(scene, volume_node):
    bench = Bench(scene)
    run = bench.begin(volume_node, largestComponent=True)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), WHOLE)
    bench.to_the_end(run)
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), LARGEST)


def test_what_the_user_painted_meanwhile_stays(scene, volume_node):
    bench = Bench(scene)
    run = bench.begin(volume_node, largestComponent=True)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    image = (
        run.segmentationNode.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    )
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(SHAPE)
    array[0, 8, 7] = 2  # another structure than was found there
    array[0, 4, 4] = 1  # a part far from the largest
    bench.to_the_end(run)
    expected = LARGEST.copy()
    expected[0, 8, 7], expected[0, 4, 4] = 2, 1
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), expected)


def test_outside_the_slices_asked_for_small_parts_stay(scene, volume_node):
    bench = Bench(scene)
    node = bench.segment(volume_node).segmentationNode
    add_segment(node, volume_node, "by hand", WHOLE == 0)
    run = bench.segment(
        volume_node, outputNode=node, largestComponent=True, slices=range(2, SHAPE[0])
    )
    expected = LARGEST.copy()
    expected[:2] = WHOLE[:2]
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)
    np.testing.assert_array_equal(voxels(node, "by hand", SHAPE), WHOLE == 0)
    assert run.structures == 2


def test_outside_the_box_small_parts_stay(scene, volume_node):
    bench = Bench(scene)
    node = bench.segment(volume_node).segmentationNode
    box = add_roi((3.5, 5.5, 2.5), (9, 6, 9))  # all but the first rows
    bench.segment(volume_node, outputNode=node, largestComponent=True, regionNode=box)
    expected = LARGEST.copy()
    expected[:, :3] = WHOLE[:, :3]
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), expected)


def test_segments_whose_values_are_not_the_cards_are_cleaned_alike(scene, volume_node):
    first = Bench(scene)
    node = first.segment(volume_node).segmentationNode
    for index in range(3):
        add_segment(node, volume_node, f"by hand {index}", WHOLE == 3)
    other = Bench(scene, card=dataclasses.replace(first.card, name="other"))
    other.segment(volume_node, outputNode=node, largestComponent=True)
    for _ in range(3):  # those of the first model, which bear the same names
        node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(0))
    np.testing.assert_array_equal(label_map(node, other.card, SHAPE), LARGEST)
