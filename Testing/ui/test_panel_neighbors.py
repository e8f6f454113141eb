"""What a correction tells of the slices beside it, at the press of Re-run neighbors."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from nodes import paint
from panels import SLICES, ct_array, segment_voxels
from reviewing import draw_into, marks_of

from GDLACore.options import UNSAID

pytest_plugins = ("reviewing",)


def test_the_neighbors_of_an_edited_slice_are_segmented_anew_and_go_by_it(
    desktop, segment, panel, look_at, ui, worker, volume
):
    result = segment()
    draw_into(result, volume, 4)
    look_at(5)
    desktop.wait_until(lambda: ui.neighborsButton.enabled)
    desktop.click(ui.neighborsButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    (corrections,) = worker.corrections[1:]
    assert set(corrections) == {4}
    expected = np.full((16, 16), UNSAID, np.uint16)
    expected[:3, :3] = 1
    np.testing.assert_array_equal(corrections[4], expected)
    assert worker.requests[1][2].slices == range(10)
    assert panel.parameters.result is result
    assert segment_voxels(result) == (SLICES - 2) * 64 + 9  # the edited one is as the user made it


def test_without_an_edited_slice_there_are_no_neighbors(segment, look_at, ui, volume, panel):
    result = segment()
    look_at(5)
    marks_of(result, volume).tick(5)
    panel.onTick()
    assert not ui.neighborsButton.enabled
    assert ui.neighborsButton.toolTip.startswith("Correct a slice by hand first")


def test_edits_of_another_checkpoints_segments_have_no_neighbors(
    desktop, segment, look_at, ui, volume, monkeypatch
):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices

    result = segment()
    draw_into(result, volume, 4)
    look_at(5)
    desktop.wait_until(lambda: ui.neighborsButton.enabled)
    monkeypatch.setattr(ReviewedSlices, "editedOf", lambda self, model: frozenset())
    desktop.wait_until(lambda: not ui.neighborsButton.enabled)
    assert ui.neighborsButton.toolTip == "Choose the checkpoint whose segments you corrected."


# The correction is so new that nobody has found it yet


@pytest.fixture
def correct(desktop, segment, panel, look_at, ui, volume, monkeypatch):
    """Correct slice 1, which the panel finds, and then a slice that it has no time to look at.

    The window's time stands still then: only what a test does is done.
    """

    def correct(index):
        result = segment()
        draw_into(result, volume, 1)
        desktop.wait_until(lambda: ui.neighborsButton.enabled)
        panel._timer.stop()
        from GDLASegmenterLib import ReviewPart

        monkeypatch.setattr(ReviewPart, "_BUDGET_S", -1)
        draw_into(result, volume, index)
        look_at(index)
        assert marks_of(result, volume).edited == {1}
        return result

    return correct


def test_a_correction_counts_that_was_made_right_before(desktop, correct, panel, ui, worker):
    correct(10)
    desktop.click(ui.neighborsButton)
    panel.onTick()
    assert worker.requests[1][2].slices == range(5, SLICES)
    assert set(worker.corrections[1]) == {1, 10}


def test_corrections_that_were_undone_right_before_are_not_gone_by(
    desktop, correct, panel, ui, worker, volume
):
    result = correct(10)
    made = (ct_array() > 0).astype(np.uint8)
    replace = slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
    paint(result, volume, result.GetSegmentation().GetNthSegmentID(0), made, replace)
    desktop.click(ui.neighborsButton)
    panel.onTick()
    assert ui.statusLabel.text.startswith("Correct a slice by hand first")
    assert len(worker.requests) == 1 and not panel.controller.isBusy


@pytest.mark.parametrize("what", ["volume", "segmentation"])
def test_what_is_removed_while_corrections_are_looked_for_ends_it(
    desktop, correct, panel, ui, worker, volume, what
):
    result = correct(10)
    removed = {"volume": volume, "segmentation": result}[what]
    desktop.click(ui.neighborsButton)
    next(panel.controller._activity._steps)
    slicer.mrmlScene.RemoveNode(removed)
    panel.onTick()
    assert ui.statusLabel.text == f"Stopped: {removed.GetName()} is not in the scene any more."
    assert len(worker.requests) == 1 and not panel.controller.isBusy


def test_the_window_goes_on_while_looking_finds_nothing_and_never_ends(
    desktop, correct, panel, ui, monkeypatch
):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices

    correct(10)
    looks = []

    def refresh(self):
        looks.append(self)
        assert len(looks) < 5, "it never lets the window go on"
        return iter(())

    monkeypatch.setattr(ReviewedSlices, "refresh", refresh)
    desktop.click(ui.neighborsButton)
    for _ in range(3):
        next(panel.controller._activity._steps)
    desktop.close_scene()
    panel.onTick()
    assert not panel.controller.isBusy


def test_the_scene_is_closed_while_corrections_are_looked_for(desktop, correct, panel, ui, worker):
    correct(10)
    desktop.click(ui.neighborsButton)
    next(panel.controller._activity._steps)
    desktop.close_scene()
    panel.onTick()
    assert ui.statusLabel.text == "" and not panel.controller.isBusy
    assert len(worker.requests) == 1
