"""Whatever happens while slices are previewed, nothing wrong is shown and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
import slicer.util
from node_watch import NodeWatch
from nodes import (
    add_grid_transform,
    add_label_map,
    add_linear_transform,
    add_segmentation,
    add_volume,
    add_volume_sequence,
)
from previewing import check_overlay, overlays, settle
from segmenting import MODEL, Bench, label_map
from slice_nodes import add_slice_node, go_to

from GDLACore.errors import VolumeError, WorkerError
from GDLASegmenterLib.LivePreview import LivePreview

LABELS = np.random.default_rng(5).integers(1, 4, (12, 7, 8)).astype(np.int16)
OTHER_LABELS = np.random.default_rng(6).integers(1, 4, (12, 7, 8)).astype(np.int16)


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
def red(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceNode]:
    node = add_slice_node("Red")
    yield node
    scene.RemoveNode(node)


@pytest.fixture
def volume(live, bench, red) -> slicer.vtkMRMLScalarVolumeNode:
    """The volume whose slice 3 is previewed."""
    volume = add_volume(LABELS)
    go_to(red, volume, 3)
    live.start(volume, MODEL, bench.card, "smooth")
    settle(bench, live)
    assert live.index == 3
    return volume


# The volume


def test_of_changed_voxels_the_new_slice_is_shown(live, bench, scene, volume):
    slicer.util.updateVolumeFromArray(volume, OTHER_LABELS)
    assert live.index is None
    settle(bench, live)
    assert live.index == 3
    check_overlay(live, bench, scene, OTHER_LABELS)


def test_of_a_sequence_the_frame_that_is_shown_counts(live, bench, scene, red):
    browser, volume = add_volume_sequence([LABELS, OTHER_LABELS])
    go_to(red, volume, 3)
    live.start(volume, MODEL, bench.card, "smooth")
    settle(bench, live)
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    live.update()
    settle(bench, live)
    assert live.index == 3
    check_overlay(live, bench, scene, OTHER_LABELS)


def test_a_moved_volume_is_followed(live, bench, scene, volume):
    up = np.eye(4)
    up[2, 3] = 2
    transform = add_linear_transform(up)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert (live.viewedIndex, live.index) == (1, None)
    settle(bench, live)
    assert live.index == 1
    check_overlay(live, bench, scene, LABELS)
    up[2, 3] = -1
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(up))
    assert (live.viewedIndex, live.index) == (4, None)


def test_a_volume_whose_slices_change_size_is_followed(live, bench, scene, volume):
    smaller = np.ascontiguousarray(OTHER_LABELS[:6, :5, :4])
    slicer.util.updateVolumeFromArray(volume, smaller)
    settle(bench, live)
    assert live.index == 3
    check_overlay(live, bench, scene, smaller)


def _bend(volume) -> None:
    volume.SetAndObserveTransformNodeID(add_grid_transform().GetID())


def _empty(volume) -> None:
    volume.SetAndObserveImageData(None)


@pytest.mark.parametrize(
    ("spoil", "sentence"), [(_bend, "which bends it"), (_empty, "CT holds no gray values")]
)
def test_a_volume_that_cannot_be_segmented_any_more_ends_the_preview(
    live, bench, scene, volume, spoil, sentence
):
    spoil(volume)
    assert not live.isOn and live.index is None
    assert sentence in live.error.message and live.error.hint
    assert overlays(scene) == []


def test_a_removed_volume_ends_the_preview_and_that_is_said(live, bench, scene, volume):
    scene.RemoveNode(volume)
    assert not live.isOn and live.error is None
    assert live.notice == "CT was removed: its preview has ended."
    assert overlays(scene) == []
    live.update()
    bench.update()


def test_a_volume_removed_while_the_worker_is_at_it_ends_the_preview(live, bench, scene, red):
    volume = add_volume(LABELS)
    live.start(volume, MODEL, bench.card, "smooth")
    scene.RemoveNode(volume)
    bench.update()
    bench.update()
    assert not live.isOn and live.error is None and live.index is None


def test_a_label_map_is_refused_and_what_was_previewed_is_off(live, bench, scene, volume):
    with pytest.raises(VolumeError, match="is a label map"):
        live.start(add_label_map(LABELS), MODEL, bench.card, "smooth")
    assert not live.isOn
    assert overlays(scene) == []


# The worker


def test_a_worker_that_dies_is_told_of_once_and_the_preview_can_be_started_again(
    live, bench, scene, red, volume
):
    go_to(red, volume, 8)
    bench.worker.fail(WorkerError("The background process has died.", "Try again."))
    settle(bench, live)
    assert not live.isOn
    assert live.error.message == "The background process has died."
    assert overlays(scene) == []
    go_to(red, volume, 9)
    bench.update()
    assert len(bench.worker.previews) == 2, "nobody is asked while it is off"
    live.start(volume, MODEL, bench.card, "smooth")
    assert live.error is None
    settle(bench, live)
    assert live.index == 9


def test_labels_that_do_not_fit_are_told_of_once(live, bench, scene, red, monkeypatch, caplog):
    real = LABELS.take
    volume = add_volume(LABELS)
    monkeypatch.setattr(bench.worker, "_find", lambda volume: real([0, 1], axis=1))
    go_to(red, volume, 3)
    live.start(volume, MODEL, bench.card, "smooth")
    settle(bench, live)
    assert not live.isOn
    assert live.error.message == "The preview could not be drawn (ValueError)."
    assert "could not be drawn" in caplog.text


# A run


def test_during_a_run_nothing_is_previewed_and_afterwards_it_goes_on(
    live, bench, scene, red, volume
):
    run = bench.begin(volume)
    live.update()
    assert (live.viewedIndex, live.index) == (None, None)
    bench.until(lambda: run.finishedSlices > 0)
    go_to(red, volume, 6)
    live.update()
    assert live.index is None
    bench.to_the_end(run)
    settle(bench, live)
    assert run.error is None and live.error is None
    assert live.index == 6
    check_overlay(live, bench, scene, LABELS)
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, LABELS.shape), LABELS)


# The end


def test_turned_off_the_scene_is_as_before(live, bench, scene, red):
    volume = add_volume(LABELS)
    manual = add_segmentation(volume, {"by hand": LABELS == 1})
    modified = manual.GetMTime()
    nodes = [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]
    live.start(volume, MODEL, bench.card, "smooth")
    for index in (3, 4, 8):
        go_to(red, volume, index)
        settle(bench, live)
    live.stop()
    assert [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())] == nodes
    assert manual.GetMTime() == modified
    assert not live.isOn and live.index is None and live.viewedIndex is None


def test_an_answer_after_the_end_changes_nothing(live, bench, scene, red, volume):
    go_to(red, volume, 8)
    live.stop()
    bench.update()
    bench.update()
    assert live.index is None
    assert overlays(scene) == []


@pytest.mark.parametrize("waits", [False, True], ids=["shown", "under way"])
def test_closing_the_scene_ends_the_preview(live, bench, scene, red, volume, waits):
    if waits:
        go_to(red, volume, 8)
    scene.Clear(0)
    assert not live.isOn and live.error is None and live.notice == ""
    bench.update()
    bench.update()
    live.update()
    assert overlays(scene) == []


@pytest.mark.parametrize("end", ["removed", "closed", "off"])
def test_no_node_outlives_its_preview(live, bench, scene, red, end):
    watch = NodeWatch(scene)
    volume = add_volume(LABELS)
    live.start(volume, MODEL, bench.card, "smooth")
    settle(bench, live)
    if end == "off":
        live.stop()
    if end == "closed":
        scene.Clear(0)
    else:
        scene.RemoveNode(volume)
    del volume
    settle(bench, live)
    bench.worker.previews.clear()  # only tests keep these
    assert watch.leaked() == []


def test_an_overlay_that_somebody_removed_is_made_again(live, bench, scene, red, volume):
    (overlay,) = overlays(scene)
    scene.RemoveNode(overlay)
    assert live.index is None
    go_to(red, volume, 8)
    settle(bench, live)
    assert live.index == 8
    check_overlay(live, bench, scene, LABELS)
