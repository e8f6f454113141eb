"""One click keeps the slice that is previewed: as it is seen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_segment, add_segmentation, add_volume, paint
from segmenting import MODEL, Bench, label_map, stray_values, voxels
from slice_nodes import add_slice_node, go_to
from storage import ijk_to_ras, shape

from GDLACore.errors import Cancelled, OutputError
from GDLASegmenterLib.ConfidenceVolume import confidenceNode
from GDLASegmenterLib.LivePreview import LivePreview
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid

LABELS = np.random.default_rng(5).integers(0, 4, (12, 7, 8)).astype(np.int16)
OTHER_LABELS = np.random.default_rng(6).integers(0, 4, (12, 7, 8)).astype(np.int16)


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
def volume() -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(LABELS)


def _preview(live: LivePreview, bench: Bench, red, volume, index: int, axis: int = 0) -> None:
    go_to(red, volume, index, axis)
    if not live.isOn:
        live.start(volume, MODEL, bench.card, "smooth")

    def is_shown() -> bool:
        live.update()
        return live.index == index

    bench.until(is_shown)


def _keep(live: LivePreview, node=None):
    steps = live.keepSteps(node)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _only(*indices: int) -> np.ndarray:
    labels = np.zeros_like(LABELS)
    labels[list(indices)] = LABELS[list(indices)]
    return labels


def test_into_a_new_segmentation_beside_the_volume(live, bench, scene, red, volume):
    _preview(live, bench, red, volume, 3)
    node = _keep(live)
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), _only(3))
    assert node.GetName() == "CT abdomen"
    assert not node.GetHideFromEditors() and node.GetSaveWithScene()
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is volume
    assert bench.undo_states == [], "a new segmentation is undone by removing it"
    assert live.index == 3, "the preview goes on"


def test_one_slice_after_the_other_into_the_same_segmentation(live, bench, red, volume):
    _preview(live, bench, red, volume, 3)
    node = _keep(live)
    for index in (9, 4):
        _preview(live, bench, red, volume, index)
        assert _keep(live, node) is node
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), _only(3, 4, 9))
    assert bench.undo_states == [node, node]
    assert stray_values(node) == set()


def test_only_that_slice_of_what_a_run_made_is_replaced(live, bench, red, volume):
    node = bench.segment(add_volume(OTHER_LABELS)).segmentationNode
    _preview(live, bench, red, volume, 3)
    _keep(live, node)
    expected = OTHER_LABELS.copy()
    expected[3] = LABELS[3]
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), expected)


def test_the_confidence_of_a_run_in_the_slice_is_forgotten_and_in_others_is_not(
    live, bench, red, volume
):
    run = bench.segment(add_volume(OTHER_LABELS), confidence=True)
    node = run.segmentationNode
    _preview(live, bench, red, volume, 3)
    _keep(live, node)
    percent = slicer.util.arrayFromVolume(confidenceNode(node))
    assert [k for k in range(12) if not percent[k].any()] == [3]


def test_a_new_segmentation_of_a_kept_slice_has_no_confidence(live, bench, scene, red, volume):
    _preview(live, bench, red, volume, 3)
    node = _keep(live)
    assert confidenceNode(node) is None


def test_segments_of_the_user_are_not_touched(live, bench, red, volume):
    node = add_segmentation(volume, {"by hand": LABELS == 1})
    _preview(live, bench, red, volume, 3)
    _keep(live, node)
    np.testing.assert_array_equal(voxels(node, "by hand", LABELS.shape), LABELS == 1)
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), _only(3))


def test_nothing_is_computed_for_it(live, bench, red, volume):
    _preview(live, bench, red, volume, 3)
    asked = len(bench.worker.previews)
    _keep(live)
    assert (len(bench.worker.previews), bench.worker.requests) == (asked, [])


def test_what_was_seen_at_the_click_is_kept_whatever_comes_next(live, bench, red, volume):
    _preview(live, bench, red, volume, 3)
    steps = live.keepSteps()
    go_to(red, volume, 9)
    slicer.util.updateVolumeFromArray(volume, OTHER_LABELS)
    node = _last(steps)
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), _only(3))


def _last(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_a_slice_of_a_sagittal_acquisition_is_kept_in_its_place(live, bench, red):
    size = shape("axis-aligned", "sagittal")
    labels = np.random.default_rng(2).integers(0, 4, size).astype(np.int16)
    volume = add_volume(labels, ijk_to_ras("axis-aligned", "sagittal", (-1, 1, -1)))
    _preview(live, bench, red, volume, 5, axis=1)
    node = _keep(live)
    expected = np.zeros_like(labels)
    expected[:, 5] = labels[:, 5]
    np.testing.assert_array_equal(label_map(node, bench.card, size), expected)


# What cannot be kept


def test_without_a_preview_there_is_nothing_to_keep(live, bench, red, volume):
    with pytest.raises(OutputError, match="There is no preview to keep"):
        live.keepSteps()
    _preview(live, bench, red, volume, 3)
    go_to(red, volume, 9)
    with pytest.raises(OutputError, match="There is no preview to keep"):
        live.keepSteps()
    live.stop()
    with pytest.raises(OutputError, match="There is no preview to keep"):
        live.keepSteps()


def test_during_a_run_nothing_is_kept(live, bench, red, volume):
    _preview(live, bench, red, volume, 3)
    run = bench.begin(volume)
    with pytest.raises(OutputError, match="A segmentation is being made"):
        live.keepSteps()
    bench.to_the_end(run)


def test_a_segmentation_on_another_grid_is_refused(live, bench, red, volume):
    other = add_volume(LABELS, np.diag([2.0, 2.0, 2.0, 1.0]), "MR")
    node = add_segmentation(other, {"by hand": LABELS == 1})
    _preview(live, bench, red, volume, 3)
    with pytest.raises(OutputError, match="made on another voxel grid than that of CT"):
        live.keepSteps(node)


def test_a_reviewed_slice_is_refused_in_one_sentence(live, bench, red, volume):
    node = bench.segment(add_volume(OTHER_LABELS)).segmentationNode
    ReviewedSlices(node, volumeGrid(volume), 0).tick(3)
    _preview(live, bench, red, volume, 3)
    with pytest.raises(OutputError, match=f"^Slice 3 of {node.GetName()} was reviewed") as refusal:
        _keep(live, node)
    assert "Untick" in refusal.value.hint
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), OTHER_LABELS)
    _preview(live, bench, red, volume, 4)
    _keep(live, node)
    expected = OTHER_LABELS.copy()
    expected[4] = LABELS[4]
    np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), expected)


def test_a_kept_slice_counts_as_the_machines(live, bench, red, volume):
    _preview(live, bench, red, volume, 3)
    node = _keep(live)
    reviewed = ReviewedSlices(node, volumeGrid(volume), 0)
    for _step in reviewed.refresh():
        pass
    assert reviewed.protected == frozenset()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_slice_edited_while_it_is_being_kept_stays_as_the_user_left_it(
    live, bench, red, volume, count
):
    node = bench.segment(add_volume(OTHER_LABELS)).segmentationNode
    _preview(live, bench, red, volume, 3)
    steps = live.keepSteps(node)
    for _ in range(count):
        assert next(steps, "over") != "over"
    wasKept = np.array_equal(label_map(node, bench.card, LABELS.shape)[3], LABELS[3])
    liver = node.GetSegmentation().GetSegmentIdBySegmentName("liver")
    drawn = np.zeros(LABELS.shape, bool)
    drawn[3] = True
    paint(node, volume, liver, drawn, slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX)
    if wasKept:
        _last(steps)
    else:
        with pytest.raises(OutputError):
            _last(steps)
    found = label_map(node, bench.card, LABELS.shape)
    assert voxels(node, "liver", LABELS.shape)[3].all()
    np.testing.assert_array_equal(np.delete(found, 3, 0), np.delete(OTHER_LABELS, 3, 0))


def test_a_segmentation_removed_meanwhile_ends_it(live, bench, scene, red, volume):
    node = bench.segment(volume).segmentationNode
    _preview(live, bench, red, volume, 3)
    steps = live.keepSteps(node)
    next(steps)
    scene.RemoveNode(node)
    with pytest.raises(Cancelled, match="The segmentation was removed"):
        _last(steps)


@pytest.mark.parametrize("isNew", [False, True])
def test_stopped_at_any_step_nothing_is_changed(live, bench, scene, red, volume, isNew):
    node = bench.segment(add_volume(OTHER_LABELS)).segmentationNode
    add_segment(node, volume, "by hand", LABELS == 2)
    expected = label_map(node, bench.card, LABELS.shape)
    _preview(live, bench, red, volume, 3)
    nodes = scene.GetNumberOfNodes()
    for count in range(100):
        steps = live.keepSteps(None if isNew else node)
        if any(next(steps, "over") == "over" for _ in range(count)):
            break
        steps.close()
        assert scene.GetNumberOfNodes() == nodes
        np.testing.assert_array_equal(label_map(node, bench.card, LABELS.shape), expected)
    assert count > 2, "else this tests little"
