"""Reviewed slices stay the same part of the patient, on whatever grid that is stored."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util
from edited_run import FIRST, SECOND, SHAPE
from editing import Editor, reviewed
from nodes import add_linear_transform, add_volume
from phantom import make_card
from segmenting import Bench
from storage import FLIPS, KINDS, ijk_to_ras
from world import segment_positions, voxel_positions

from GDLACore.errors import OutputError

TURN = np.array([[0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]])


CARD = dataclasses.replace(make_card(), slice_axis="acquisition")  # slices along k


def labels_on(node, volume) -> np.ndarray:
    """Return the labels [k, j, i] on the grid of ``volume``, by where in the patient voxels are."""
    positions = voxel_positions(volume)
    corner = positions[0, 0, 0]
    steps = np.stack([positions[1, 0, 0], positions[0, 1, 0], positions[0, 0, 1]], axis=1)
    labels = np.zeros(positions.shape[:3], np.uint8)
    for label in CARD.labels:
        segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(label.name)
        points = segment_positions(node, segment_id) - corner
        indices = np.linalg.solve(steps - corner[:, None], points.T).round().astype(int)
        labels[tuple(indices)] = label.value
    return labels


def make(scene, matrix, transform=None):
    """Return a volume and its segmentation, edited in slice 2 (k) and ticked in slice 4."""
    volume = add_volume(FIRST.astype(np.int16), matrix)
    if transform is not None:
        volume.SetAndObserveTransformNodeID(add_linear_transform(transform).GetID())
    node = Bench(scene, lambda volume: FIRST, CARD).segment(volume).segmentationNode
    Editor(scene, volume, SHAPE).dot(node, "liver", (2, 3, 4))
    found = reviewed(node, volume)
    assert found.edited == {2}
    found.tick(4)
    return volume, node


def check_run(scene, volume, node, protected):
    """Segment again, and see that what was there in the ``protected`` slices (k) still is."""
    before = labels_on(node, volume)
    assert reviewed(node, volume).protected == protected
    run = Bench(scene, lambda volume: SECOND, CARD).segment(volume, outputNode=node)
    assert run.reviewedSlices == len(protected)
    expected = SECOND.copy()
    expected[list(protected)] = before[list(protected)]
    np.testing.assert_array_equal(labels_on(node, volume), expected)


@pytest.mark.parametrize("flips", FLIPS[::3], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_saved_with_the_scene(scene, kind, flips, tmp_path):
    volume, node = make(scene, ijk_to_ras(kind, "sagittal", flips))
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    scene.Clear(0)
    slicer.util.loadScene(path)
    volume = slicer.util.getNode("CT")
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    is_turned = not np.array_equal(slicer.util.arrayFromVolume(volume), FIRST)
    assert is_turned == (kind == "left-handed")
    check_run(scene, volume, node, {3, 1} if is_turned else {2, 4})


@pytest.mark.parametrize("kind", KINDS)
def test_so_are_those_that_were_released(scene, kind, tmp_path):
    volume, node = make(scene, ijk_to_ras(kind, "sagittal", FLIPS[0]))
    reviewed(node, volume).release(2)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    scene.Clear(0)
    slicer.util.loadScene(path)
    volume = slicer.util.getNode("CT")
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    is_turned = not np.array_equal(slicer.util.arrayFromVolume(volume), FIRST)
    check_run(scene, volume, node, {1} if is_turned else {4})


def test_what_was_released_is_found_on_a_volume_that_counts_the_other_way(scene):
    volume, node = make(scene, np.diag([1.0, 1, 2, 1]))
    reviewed(node, volume).release(2)
    turned = np.diag([-1.0, -1, -2, 1])
    turned[:3, 3] = SHAPE[2] - 1, SHAPE[1] - 1, 2 * (SHAPE[0] - 1)
    other = add_volume(FIRST[::-1, ::-1, ::-1].astype(np.int16), turned, "other")
    Editor(scene, volume, SHAPE).dot(node, "liver", (0, 0, 0))
    assert reviewed(node, other).edited == {5}
    check_run(scene, other, node, {5, 1})


def test_they_are_found_on_a_volume_that_counts_the_other_way(scene):
    volume, node = make(scene, np.diag([1.0, 1, 2, 1]))
    turned = np.diag([1.0, 1, -2, 1])
    turned[2, 3] = 2 * (SHAPE[0] - 1)
    other = add_volume(FIRST[::-1].astype(np.int16), turned, "other")
    assert reviewed(node, other).edited == {3} and reviewed(node, other).ticked == {1}
    check_run(scene, other, node, {1, 3})
    assert reviewed(node, volume).protected == {2, 4}


def test_they_are_found_on_a_volume_that_counts_along_other_axes(scene):
    volume, node = make(scene, np.eye(4))
    other = add_volume(
        np.ascontiguousarray(FIRST.transpose(1, 0, 2)).astype(np.int16),
        np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
        "other",
    )
    assert reviewed(node, other, axis=1).protected == {2, 4}
    assert reviewed(node, other, axis=0).protected == frozenset()


@pytest.mark.parametrize("what", ["both", "neither"])
def test_they_go_along_when_volume_and_segmentation_are_hardened(scene, what):
    volume, node = make(scene, np.diag([2.0, 1, 3, 1]), TURN)
    if what == "both":
        for one in (volume, node):
            one.HardenTransform()
    check_run(scene, volume, node, {2, 4})


@pytest.mark.parametrize("shift", [0.5, 1, 2])
def test_hardening_a_shift_by_whole_slices_moves_no_mark_to_another_slice(scene, shift):
    shifted = np.eye(4)
    shifted[2, 3] = shift
    volume, node = make(scene, np.eye(4), shifted)
    for one in (volume, node):
        one.HardenTransform()
    check_run(scene, volume, node, {2, 4})


def test_nor_does_another_volume_of_the_same_size_a_slice_further(scene, tmp_path):
    volume, node = make(scene, np.eye(4))
    matrix = np.eye(4)
    matrix[2, 3] = 1
    other = add_volume(FIRST.astype(np.int16), matrix, "further")
    assert reviewed(node, other).ticked == {3}
    assert reviewed(node, volume).ticked == {4}
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    scene.Clear(0)
    slicer.util.loadScene(path)
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert reviewed(node, slicer.util.getNode("further")).ticked == {3}


def test_a_volume_on_which_they_cannot_be_found_is_refused(scene):
    volume, node = make(scene, np.eye(4))
    other = add_volume(np.zeros((3, 4, 5), np.int16), np.diag([2.0, 2, 2, 1]), "coarse")
    for segment_id in node.GetSegmentation().GetSegmentIDs():
        node.GetSegmentation().RemoveSegment(segment_id)
    with pytest.raises(OutputError, match="reviewed slices on another voxel grid"):
        Bench(scene).begin(other, outputNode=node)


def test_nor_does_looking_with_it_take_them_away(scene):
    volume, node = make(scene, np.eye(4))
    other = add_volume(np.zeros((3, 4, 5), np.int16), np.diag([2.0, 2, 2, 1]), "coarse")
    found = reviewed(node, other)
    assert found.isCurrent and found.protected == frozenset()
    for act in (found.tick, found.release):
        with pytest.raises(OutputError, match="reviewed slices on another voxel grid"):
            act(1)
    assert reviewed(node, volume).edited == {2} and reviewed(node, volume).ticked == {4}


def test_looking_with_a_volume_elsewhere_does_not_hide_an_edit(scene):
    volume, node = make(scene, np.eye(4))
    matrix = np.eye(4)
    matrix[:3, 3] = 0.5
    other = add_volume(FIRST.astype(np.int16), matrix, "of the same size")
    Editor(scene, volume, SHAPE).dot(node, "liver", (5, 0, 0))
    reviewed(node, other)
    assert reviewed(node, volume).edited == {2, 5}


def test_a_larger_volume_takes_them_where_they_were(scene):
    volume, node = make(scene, np.eye(4))
    matrix = np.eye(4)
    matrix[2, 3] = -2
    other = add_volume(np.zeros((10, 7, 8), np.int16), matrix, "longer")
    assert reviewed(node, other).protected == {4, 6}
    labels = np.ones((10, 7, 8), np.uint8)
    before = labels_on(node, volume)
    Bench(scene, lambda volume: labels, CARD).segment(other, outputNode=node)
    expected = labels.copy()
    expected[[4, 6]] = before[[2, 4]]
    np.testing.assert_array_equal(labels_on(node, other), expected)


def test_a_crop_of_the_volume_has_those_that_are_in_it_and_takes_none_away(scene):
    volume, node = make(scene, np.eye(4))
    matrix = np.eye(4)
    matrix[2, 3] = 3
    crop = add_volume(np.zeros((2, 7, 8), np.int16), matrix, "crop")
    found = reviewed(node, crop)
    assert (found.ticked, found.edited, found.protected) == ({1}, set(), {1})
    found.tick(0)
    assert reviewed(node, volume).edited == {2} and reviewed(node, volume).ticked == {3, 4}
