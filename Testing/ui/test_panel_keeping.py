"""How a slice of the panel's live preview is kept, and what may come in between."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
import slicer.util
from nodes import add_segmentation, add_volume_sequence
from panel_preview import BOX, overlaid, results
from panels import SLICES, SPACING, add_ct, ct_array, segment_voxels

pytest_plugins = ("panel_preview",)


def test_a_slice_is_kept_with_one_click_and_the_next_beside_it(
    desktop, preview, panel, ui, view, worker, finish
):
    preview(3)
    desktop.click(ui.keepSliceButton)
    finish()
    (result,) = results()
    assert panel.parameters.result is result and segment_voxels(result) == BOX
    assert ui.statusLabel.text == f"Slice 3 is kept in {result.GetName()}."
    view.SetSliceOffset(4.0 * 4)
    preview(4)
    assert result.GetName() in ui.keepSliceButton.toolTip
    desktop.click(ui.keepSliceButton)
    finish()
    assert results() == [result] and segment_voxels(result) == 2 * BOX
    assert worker.requests == []  # nothing was computed for it


def test_a_slice_goes_into_the_segmentation_that_is_chosen(desktop, preview, panel, ui, finish):
    desktop.click(ui.segmentButton)
    finish()
    chosen = panel.parameters.result
    panel.parameters.segmentation = chosen
    preview()
    desktop.click(ui.keepSliceButton)
    finish()
    assert results() == [chosen] and segment_voxels(chosen) == (SLICES - 2) * BOX


def test_what_a_run_knew_of_a_slice_is_forgotten_when_another_is_kept_there(
    desktop, preview, panel, ui, finish
):
    from GDLASegmenterLib.DoubtProfile import readProfile
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    grid = volumeGrid(panel.parameters.inputVolume)
    desktop.click(ui.segmentButton)
    finish()
    panel.parameters.segmentation = chosen = panel.parameters.result
    assert set(readProfile(chosen, grid).values) == set(range(SLICES))
    preview(3)
    desktop.click(ui.keepSliceButton)
    finish()
    assert set(readProfile(chosen, grid).values) == set(range(SLICES)) - {3}


def test_a_reviewed_slice_is_not_kept_over(desktop, preview, panel, ui, finish):
    desktop.click(ui.segmentButton)
    finish()
    desktop.click(ui.reviewedCheckBox)
    panel.parameters.segmentation = panel.parameters.result
    preview()
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.keepSliceButton)
    finish()
    assert "reviewed" in desktop.shown[-1].text
    assert ui.livePreviewCheckBox.checked
    desktop.click(ui.reviewedCheckBox)  # released
    panel.onTick()
    assert ui.keepSliceButton.enabled
    desktop.click(ui.keepSliceButton)
    finish()
    assert ui.statusLabel.text.startswith("Slice 3 is kept in ")


# The volume is not what it was


def test_a_slice_is_kept_beside_those_of_a_run(desktop, preview, panel, ui, finish):
    desktop.click(ui.segmentButton)
    finish()
    result = panel.parameters.result
    preview()
    assert result.GetName() in ui.keepSliceButton.toolTip
    desktop.click(ui.keepSliceButton)
    finish()
    assert results() == [result]


@pytest.mark.parametrize("before", ["a run", "another slice"])
def test_slices_of_other_voxels_are_kept_apart(desktop, preview, panel, ui, view, finish, before):
    if before == "another slice":
        preview(3)
    desktop.click(ui.segmentButton if before == "a run" else ui.keepSliceButton)
    finish()
    first = panel.parameters.result
    voxels = segment_voxels(first)
    slicer.util.updateVolumeFromArray(panel.parameters.inputVolume, ct_array() + 1)
    view.SetSliceOffset(4.0 * 4)
    preview(4)
    assert ui.keepSliceButton.toolTip.startswith("Write this slice into a new segmentation")
    desktop.click(ui.keepSliceButton)
    finish()
    second = panel.parameters.result
    assert results() == [first, second]
    assert (segment_voxels(first), segment_voxels(second)) == (voxels, BOX)


def test_slices_of_two_frames_are_kept_apart(desktop, preview, panel, ui, view, finish):
    browser, frame = add_volume_sequence([ct_array(), ct_array() + 1], SPACING)
    panel.parameters.inputVolume = frame
    preview(3)
    desktop.click(ui.keepSliceButton)
    finish()
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    view.SetSliceOffset(4.0 * 4)
    preview(4)
    desktop.click(ui.keepSliceButton)
    finish()
    assert [segment_voxels(one) for one in results()] == [BOX, BOX]


# The view


def test_of_a_tilted_view_no_slice_is_kept(preview, panel, ui, view):
    from slice_nodes import tilt

    preview()
    tilt(view, 10)
    panel.onTick()
    assert overlaid() == 3 and not ui.keepSliceButton.enabled
    assert ui.keepSliceButton.toolTip == (
        "Rotate the view to the volume's plane, to see all of the slice, first."
    )
    tilt(view, -10)
    panel.onTick()
    assert overlaid() == 3 and ui.keepSliceButton.enabled


# The scene is closed, and another one opened at once: its nodes get the same IDs again


@pytest.fixture
def keep_steps(desktop, preview, panel, ui, monkeypatch):
    """Begin to keep a slice, and do that number of steps."""
    from GDLASegmenterLib import Activities

    def keep_steps(count):
        preview(3)
        panel._timer.stop()
        monkeypatch.setattr(Activities, "_BUDGET_S", -1)  # no step is done but these
        desktop.click(ui.keepSliceButton)
        for _step in range(count):
            next(panel.controller._activity._steps)
        monkeypatch.setattr(Activities, "_BUDGET_S", 60)

    return keep_steps


def open_another_scene():
    """Close the scene, and return a segmentation of another patient in the next."""
    from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG

    slicer.mrmlScene.Clear(0)
    drawn = np.zeros((SLICES, 16, 16), bool)
    drawn[2:5, :2, :2] = True
    node = add_segmentation(add_ct("another patient"), {"Liver": drawn})
    segment = node.GetSegmentation().GetNthSegment(0)
    segment.SetTag(MODEL_TAG, "demo-ct:1")
    segment.SetTag(LABEL_TAG, "Liver")
    return node


def assert_untouched(node, panel):
    assert results() == [node]
    assert node.GetSegmentation().GetNumberOfSegments() == 1 and segment_voxels(node) == 3 * 4
    assert panel.parameters.result is None
    assert not panel.controller.isBusy and panel.ui.statusLabel.text == ""


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_no_slice_is_kept_in_the_segmentation_of_the_next_scene(
    desktop, panel, ui, finish, keep_steps, steps
):
    desktop.click(ui.segmentButton)
    finish()
    panel.parameters.segmentation = panel.parameters.result
    nodeID = panel.parameters.result.GetID()
    keep_steps(steps)
    other = open_another_scene()
    assert other.GetID() == nodeID
    panel.onTick()
    assert_untouched(other, panel)


@pytest.mark.parametrize("steps", [0, 12])
def test_no_slice_is_kept_in_a_new_segmentation_of_the_next_scene(panel, keep_steps, steps):
    keep_steps(steps)
    other = open_another_scene()
    panel.onTick()
    assert_untouched(other, panel)


def test_a_chosen_segmentation_that_is_removed_before_the_slice_is_kept_ends_it(
    desktop, panel, ui, finish, keep_steps
):
    desktop.click(ui.segmentButton)
    finish()
    panel.parameters.segmentation = chosen = panel.parameters.result
    keep_steps(0)
    slicer.mrmlScene.RemoveNode(chosen)
    panel.onTick()
    assert ui.statusLabel.text == ("The segmentation was removed while the slice was being kept.")
    assert results() == []
