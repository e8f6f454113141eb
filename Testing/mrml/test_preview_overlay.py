"""The preview is seen over its slice and nowhere else, and is no part of the user's work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from node_watch import NodeWatch
from nodes import add_linear_transform, add_segmentation, add_volume
from phantom import make_card
from segmenting import label_map
from slicer_views import SliceView, can_draw
from storage import ijk_to_ras, shape

from GDLASegmenterLib.PreviewOverlay import PreviewOverlay
from GDLASegmenterLib.VolumeGrid import volumeGrid

CARD = make_card()
SHAPE = (6, 7, 8)
LABELS = np.random.default_rng(5).integers(0, 4, SHAPE).astype(np.uint8)


@pytest.fixture
def overlay(scene: slicer.vtkMRMLScene) -> Iterator[PreviewOverlay]:
    overlay = PreviewOverlay(scene)
    yield overlay
    overlay.remove()


@pytest.fixture
def volume() -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(np.zeros(SHAPE, np.int16))


def _show(overlay: PreviewOverlay, volume, axis: int, index: int, card=CARD) -> None:
    labels = LABELS.take(index, axis)
    overlay.show(volumeGrid(volume), card, axis, index, labels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_it_is_one_slice_exactly_as_given(overlay, volume, axis):
    for index in (4, 1):
        _show(overlay, volume, axis, index)
        expected = np.zeros(SHAPE, np.uint8)
        place = (slice(None),) * axis + (index,)
        expected[place] = LABELS[place]
        np.testing.assert_array_equal(label_map(overlay.node, CARD, SHAPE), expected)
        assert overlay.index == index


def test_cleared_it_is_empty(overlay, volume):
    _show(overlay, volume, 0, 2)
    overlay.clear()
    assert overlay.index is None
    assert not label_map(overlay.node, CARD, SHAPE).any()
    overlay.clear()
    _show(overlay, volume, 0, 3)
    assert label_map(overlay.node, CARD, SHAPE)[3].any()


def test_another_model_has_its_own_structures_and_colors(overlay, volume):
    _show(overlay, volume, 0, 2)
    other = make_card(("kidney", "bladder", "colon", "rib"))
    _show(overlay, volume, 0, 2, other)
    segmentation = overlay.node.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    assert [segment.GetName() for segment in segments] == ["kidney", "bladder", "colon", "rib"]
    for segment, label in zip(segments, other.labels, strict=True):
        np.testing.assert_allclose(np.multiply(segment.GetColor(), 255), label.color)


def test_more_structures_than_a_byte_holds_are_shown(overlay, volume):
    card = make_card(tuple(f"part {n}" for n in range(300)))
    labels = np.full(SHAPE[1:], 299, np.uint16)
    overlay.show(volumeGrid(volume), card, 0, 2, labels)
    found = label_map(overlay.node, make_card(("part 298",)), SHAPE)
    assert found[2].all() and not found[[0, 1, 3, 4, 5]].any()


def test_it_follows_the_volumes_transform(overlay, volume):
    transform = add_linear_transform(np.diag([1.0, 1.0, 2.0, 1.0]))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    _show(overlay, volume, 0, 2)
    assert overlay.node.GetParentTransformNode() is transform
    volume.SetAndObserveTransformNodeID(None)
    _show(overlay, volume, 0, 2)
    assert overlay.node.GetParentTransformNode() is None


# No part of the user's work


def test_it_is_in_no_selector_and_in_no_tree(overlay, volume, scene):
    _show(overlay, volume, 0, 2)
    nodes = overlay.node, overlay.node.GetDisplayNode()
    assert all(node.GetHideFromEditors() and not node.GetSelectable() for node in nodes)
    tree = scene.GetSubjectHierarchyNode()
    assert not tree.GetItemByDataNode(overlay.node)


def test_slicers_tree_of_data_is_told_nothing_of_it(overlay, volume, scene):
    """Of a node that is not in the tree, it would write an error for each segment."""
    told, watched = [], []
    events = (
        *(slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved),
        *(
            slicer.vtkSegmentation.SegmentModified,
            slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
        ),
    )

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_added(scene, event, node) -> None:
        if node.IsA("vtkMRMLSegmentationNode"):
            watched.append(node)
            for one in events:
                node.AddObserver(one, lambda caller, event, one=one: told.append(one))

    tag = scene.AddObserver(scene.NodeAddedEvent, on_added)
    transform = add_linear_transform(np.eye(4))
    _show(overlay, volume, 0, 2)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    _show(overlay, volume, 0, 3)
    overlay.clear()
    _show(overlay, volume, 1, 3, make_card(("kidney", "bladder", "colon")))
    overlay.remove()
    scene.RemoveObserver(tag)
    assert len(watched) == 2
    assert told == []


def test_it_is_in_no_saved_scene(overlay, volume, scene, tmp_path: Path):
    _show(overlay, volume, 0, 2)
    path = tmp_path / "scene.mrml"
    assert slicer.util.saveScene(str(path))
    text = path.read_text(encoding="utf-8")
    assert "vtkMRMLScalarVolumeNode" in text or "<Volume" in text
    assert "GDLA preview" not in text and "<Segmentation" not in text
    assert overlay.node.GetStorageNode() is None


def test_undoing_in_the_scene_neither_loses_nor_doubles_it(overlay, volume, scene):
    scene.SetUndoOn()
    try:
        volume.SetUndoEnabled(True)
        scene.SaveStateForUndo()
        _show(overlay, volume, 0, 2)
        volume.SetName("renamed")
        scene.SaveStateForUndo()
        _show(overlay, volume, 0, 4)
        scene.Undo()
        assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
        np.testing.assert_array_equal(label_map(overlay.node, CARD, SHAPE)[4], LABELS[4])
    finally:
        scene.ClearUndoStack()
        scene.ClearRedoStack()
        scene.SetUndoOff()


def test_the_users_segmentation_is_not_touched(overlay, volume):
    users = add_segmentation(volume, {"by hand": LABELS == 1})
    segmentation = users.GetSegmentation()
    before = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap").GetMTime()
    events = []
    tag = users.AddObserver("AnyEvent", lambda caller, event: events.append(event))
    _show(overlay, volume, 0, 2)
    _show(overlay, volume, 0, 3)
    overlay.clear()
    overlay.remove()
    users.RemoveObserver(tag)
    assert events == []
    image = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert image.GetMTime() == before


def test_removed_it_leaves_nothing(overlay, volume, scene):
    before = scene.GetNumberOfNodes()
    watch = NodeWatch(scene)
    _show(overlay, volume, 0, 2)
    overlay.remove()
    assert scene.GetNumberOfNodes() == before
    assert watch.leaked() == []
    overlay.remove()
    assert overlay.node is None and overlay.index is None


def test_after_the_scene_was_closed_it_takes_no_other_node_for_its_own(overlay, volume, scene):
    _show(overlay, volume, 0, 2)
    nodeID = overlay.node.GetID()
    scene.Clear(0)
    assert overlay.index is None
    volume = add_volume(np.zeros(SHAPE, np.int16))
    users = add_segmentation(volume, {"by hand": LABELS == 1})
    assert users.GetID() == nodeID, "else this tests nothing"
    overlay.clear()
    _show(overlay, volume, 0, 4)
    assert overlay.node is not users
    assert users.GetSegmentation().GetNumberOfSegments() == 1


# In the views


needs_drawing = pytest.mark.skipif(
    not can_draw() and "CI" not in os.environ, reason="drawing needs EGL or OSMesa"
)

_GRID = (20, 30, 40)


@pytest.fixture
def view() -> Iterator[SliceView]:
    view = SliceView("Axial", (160, 160))
    yield view
    view.close()


def _colored(view: SliceView) -> int:
    """Return how many pixels are clearly of the overlay's color."""
    return np.count_nonzero(np.ptp(view.picture().astype(int), axis=-1) > 30)


def _whole(overlay: PreviewOverlay, volume, axis: int, index: int) -> None:
    size = [n for other, n in enumerate(volumeGrid(volume).shape) if other != axis]
    overlay.show(volumeGrid(volume), CARD, axis, index, np.ones(size, np.uint8))


@needs_drawing
def test_it_is_seen_where_the_view_is_nearer_to_its_slice_than_to_others(overlay, view):
    volume = add_volume(np.zeros(_GRID, np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
    _whole(overlay, volume, 0, 8)
    for offset, isSeen in ((24, True), (25.4, True), (22.6, True), (25.6, False), (27, False)):
        view.show(volume, (20, 15, offset))
        assert (_colored(view) > 5000) == isSeen, offset
    view.show(volume, (20, 15, 24))
    overlay.clear()
    assert _colored(view) == 0


@needs_drawing
def test_views_across_show_the_line_where_they_cut_it(overlay, volume):
    volume = add_volume(np.zeros(_GRID, np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
    view = SliceView("Coronal", (160, 160))
    view.show(volume, (20, 15, 24))
    _whole(overlay, volume, 0, 8)
    rows = np.unique(np.nonzero(np.ptp(view.picture().astype(int), axis=-1) > 30)[0])
    view.close()
    middle = view.pixel((20, 15, 24))[0]
    assert 3 <= len(rows) <= 12 and abs(rows.mean() - middle) < 2


@needs_drawing
def test_of_a_tilted_view_only_the_part_in_the_slice_is_covered(overlay, view):
    plane = "axial"
    size = shape("oblique", plane)
    volume = add_volume(np.zeros(size, np.int16), ijk_to_ras("oblique", plane, (1, 1, 1)))
    middle = [n // 2 for n in size]
    place = (ijk_to_ras("oblique", plane, (1, 1, 1)) @ [*middle[::-1], 1])[:3]
    view.show(volume, place)
    _whole(overlay, volume, 0, middle[0])
    tilted = _colored(view)
    view.node.RotateToVolumePlane(volume)
    view.node.JumpSliceByOffsetting(*place)
    assert 100 < tilted < _colored(view) / 3


@needs_drawing
def test_it_is_lighter_than_a_segmentation(overlay, view):
    volume = add_volume(np.zeros(_GRID, np.int16))
    view.show(volume, (20, 15, 8))
    _whole(overlay, volume, 0, 8)
    row, column = view.pixel((20, 15, 8))
    inside = view.picture()[row, column].max()
    overlay.node.GetDisplayNode().SetOpacity2DFill(0.5)
    assert 20 < inside < 0.6 * view.picture()[row, column].max()
