"""While the user looks around, the overlay is that of the slice under the eyes, or it is empty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
from nodes import add_linear_transform, add_volume
from previewing import check_overlay, overlays, settle
from segmenting import MODEL, Bench
from slice_nodes import add_slice_node, go_to, tilt
from storage import ijk_to_ras, shape

from GDLACore.errors import OutputError
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.LivePreview import LivePreview

LABELS = np.random.default_rng(5).integers(1, 4, (24, 7, 8)).astype(np.int16)


@pytest.fixture
def bench(scene: slicer.vtkMRMLScene) -> Iterator[Bench]:
    bench = Bench(scene)
    yield bench
    bench.logic.cleanup()


@pytest.fixture
def live(bench: Bench, scene: slicer.vtkMRMLScene) -> Iterator[LivePreview]:
    live = LivePreview(bench.logic, scene, bench.undo_states.append)
    yield live
    live.stop()


@pytest.fixture
def views(scene: slicer.vtkMRMLScene) -> Iterator[dict[str, slicer.vtkMRMLSliceNode]]:
    names = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal", "Red+": "Axial"}
    views = {name: add_slice_node(name, plane, name != "Red+") for name, plane in names.items()}
    yield views
    for node in views.values():
        if scene.IsNodePresent(node):
            scene.RemoveNode(node)


@pytest.fixture
def red(views) -> slicer.vtkMRMLSliceNode:
    return views["Red"]


@pytest.fixture
def volume() -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(LABELS)


def _start(live: LivePreview, bench: Bench, volume, model=MODEL, borders="smooth") -> None:
    live.start(volume, model, bench.card, borders)


def test_the_slice_under_the_eyes_is_shown(live, bench, scene, red, volume):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    assert (live.viewedIndex, live.index) == (3, None)
    settle(bench, live)
    assert live.index == 3
    check_overlay(live, bench, scene, LABELS)


def test_scrolling_empties_the_overlay_until_the_new_slice_is_there(
    live, bench, scene, red, volume
):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    settle(bench, live)
    go_to(red, volume, 20)
    assert (live.viewedIndex, live.index) == (20, None)
    check_overlay(live, bench, scene, LABELS)
    settle(bench, live)
    assert live.index == 20
    go_to(red, volume, 3)
    assert live.index == 3, "it is known, and is shown at once"
    check_overlay(live, bench, scene, LABELS)


def test_an_answer_for_a_slice_that_was_left_is_kept_for_later(live, bench, red, volume):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    go_to(red, volume, 9)
    bench.update()  # the answer for 3
    assert live.index is None
    settle(bench, live)
    assert live.index == 9
    go_to(red, volume, 3)
    assert live.index == 3


def test_moving_within_the_slice_asks_for_nothing(live, bench, red, volume):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    settle(bench, live)
    for place in (3.4, 2.6):
        go_to(red, volume, place)
        assert live.index == 3
    red.SetFieldOfView(10, 10, 1)
    red.JumpSliceByCentering(0, 0, 3)
    settle(bench, live)
    assert len(bench.worker.previews) == 1


@pytest.mark.parametrize("place", [-0.7, 23.7, 400])
def test_beside_the_volume_there_is_no_slice(live, bench, red, volume, place):
    go_to(red, volume, 0)
    _start(live, bench, volume)
    settle(bench, live)
    go_to(red, volume, place)
    assert (live.viewedIndex, live.index) == (None, None)
    go_to(red, volume, 0)
    assert live.index == 0


# Several views


def test_views_across_do_not_count(live, bench, views, volume):
    go_to(views["Red"], volume, 3)
    _start(live, bench, volume)
    settle(bench, live)
    for name, axis in (("Green", 1), ("Yellow", 2)):
        go_to(views[name], volume, 1, axis)
        assert live.index == 3
    assert len(bench.worker.previews) == 1


def test_of_two_views_along_the_slices_the_one_moved_last_counts(live, bench, views, volume):
    views["Red+"].SetMappedInLayout(1)
    go_to(views["Red"], volume, 3)
    go_to(views["Red+"], volume, 9)
    _start(live, bench, volume)
    for name, index in (("Red", 4), ("Red+", 10), ("Red", 5)):
        go_to(views[name], volume, index)
        settle(bench, live)
        assert live.index == index


def test_views_of_the_volume_come_before_views_of_others(live, bench, scene, views, volume):
    composites = {}
    for name in ("Red", "Red+"):
        composites[name] = slicer.vtkMRMLSliceCompositeNode()
        composites[name].SetLayoutName(name)
        composites[name] = scene.AddNode(composites[name])
    other = add_volume(LABELS, name="MR")
    composites["Red"].SetBackgroundVolumeID(volume.GetID())
    composites["Red+"].SetBackgroundVolumeID(other.GetID())
    views["Red+"].SetMappedInLayout(1)
    go_to(views["Red"], volume, 3)
    _start(live, bench, volume)
    go_to(views["Red+"], volume, 9)
    assert live.viewedIndex == 3
    composites["Red+"].SetForegroundVolumeID(volume.GetID())
    live.update()
    assert live.viewedIndex == 9
    for composite in composites.values():
        scene.RemoveNode(composite)


def test_a_view_that_is_not_in_the_layout_does_not_count(live, bench, views, volume):
    go_to(views["Red"], volume, 3)
    _start(live, bench, volume)
    go_to(views["Red+"], volume, 9)
    assert live.viewedIndex == 3
    views["Red+"].SetMappedInLayout(1)
    views["Red"].SetMappedInLayout(0)
    assert live.viewedIndex == 9
    views["Red+"].SetMappedInLayout(0)
    assert live.viewedIndex is None
    assert live.notice == "No slice view is along the slices of CT that the model looks at."
    views["Red"].SetMappedInLayout(1)
    assert live.viewedIndex == 3
    assert live.notice == ""


def test_a_view_that_comes_later_counts_and_one_that_has_gone_does_not(
    live, bench, scene, views, volume
):
    scene.RemoveNode(views["Red"])
    _start(live, bench, volume)
    assert live.viewedIndex is None
    later = add_slice_node("Later")
    try:
        go_to(later, volume, 8)
        assert live.viewedIndex == 8
    finally:
        scene.RemoveNode(later)
    live.update()
    assert live.viewedIndex is None


def test_linked_views_that_move_together_give_one_slice(live, bench, views, volume):
    views["Red+"].SetMappedInLayout(1)
    _start(live, bench, volume)
    for name in ("Red", "Red+"):
        go_to(views[name], volume, 7)
    settle(bench, live)
    assert live.index == 7
    assert {index for asked in bench.worker.previews for index in asked.indices} <= {0, 7}


# Other planes


def test_a_sagittal_acquisition_is_previewed_in_the_plane_that_the_model_slices(
    live, bench, scene, views
):
    matrix = ijk_to_ras("axis-aligned", "sagittal", (-1, 1, -1))
    size = shape("axis-aligned", "sagittal")
    labels = np.random.default_rng(2).integers(1, 4, size).astype(np.int16)
    volume = add_volume(labels, matrix)
    go_to(views["Yellow"], volume, 2, axis=0)
    go_to(views["Red"], volume, 5, axis=1)
    _start(live, bench, volume)  # the model's slices are axial
    settle(bench, live)
    assert live.index == 5
    shown = (
        overlays(scene)[0].GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    )
    np.testing.assert_array_equal(np.reshape(shown.GetExtent(), (3, 2))[1], [5, 5])
    go_to(views["Yellow"], volume, 3, axis=0)
    assert live.index == 5


def test_in_a_view_tilted_a_little_the_slice_in_the_middle_counts_and_that_is_said(
    live, bench, red, volume
):
    go_to(red, volume, 6)
    _start(live, bench, volume)
    tilt(red, 10)
    assert live.viewedIndex == 6
    assert live.notice.startswith("The view is tilted against the slices of CT: ")
    settle(bench, live)
    assert live.index == 6
    with pytest.raises(OutputError, match="only a part of slice 6 is seen"):
        live.keepSteps()
    tilt(red, -10)
    assert live.notice == "" and live.keepSteps() is not None


def test_a_view_tilted_by_much_shows_no_slice(live, bench, red, volume):
    go_to(red, volume, 6)
    _start(live, bench, volume)
    settle(bench, live)
    tilt(red, 60)
    assert (live.viewedIndex, live.index) == (None, None)


def test_a_view_turned_in_its_plane_and_a_volume_stored_aslant_go_together(live, bench, scene, red):
    size = shape("oblique", "axial")
    volume = add_volume(
        np.random.default_rng(2).integers(1, 4, size).astype(np.int16),
        ijk_to_ras("oblique", "axial", (1, -1, -1)),
    )
    red.RotateToVolumePlane(volume)
    go_to(red, volume, 4)
    _start(live, bench, volume)
    settle(bench, live)
    assert (live.index, live.notice) == (4, "")


# The choice


def test_another_model_or_border_is_shown_instead(live, bench, scene, red, volume):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    settle(bench, live)
    for model, borders in ((ModelRequest("another"), "smooth"), (MODEL, "published")):
        _start(live, bench, volume, model, borders)
        assert live.index is None
        settle(bench, live)
        assert live.index == 3
        assert bench.worker.previews[-1].model == model
        assert bench.worker.previews[-1].borders == borders
    _start(live, bench, volume)
    assert live.index == 3, "the first model's slice is known"


def test_under_another_transform_that_is_equal_yet_the_overlay_follows_the_volume(
    live, bench, scene, red, volume
):
    first, second = add_linear_transform(np.eye(4)), add_linear_transform(np.eye(4))
    volume.SetAndObserveTransformNodeID(first.GetID())
    go_to(red, volume, 3)
    _start(live, bench, volume)
    settle(bench, live)
    volume.SetAndObserveTransformNodeID(second.GetID())
    settle(bench, live)
    assert live.index == 3 and len(bench.worker.previews) == 1
    (overlay,) = overlays(scene)
    assert overlay.GetTransformNodeID() == second.GetID()


def test_another_volume_is_shown_instead(live, bench, scene, red, volume):
    go_to(red, volume, 3)
    _start(live, bench, volume)
    other = add_volume(4 - LABELS, name="MR")
    _start(live, bench, other)
    settle(bench, live)
    assert live.index == 3
    check_overlay(live, bench, scene, 4 - LABELS)
    volume.SetName("of no interest any more")
    volume.Modified()
    assert live.index == 3
