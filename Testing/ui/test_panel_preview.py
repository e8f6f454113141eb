"""The panel's live preview: when it is on, what stops it, and how a slice is kept."""

from __future__ import annotations

import pytest
import qt
import slicer
import slicer.util
from panels import SLICES, add_ct, add_slice_view, segment_voxels

from GDLACore.errors import EngineError

BOX = 8 * 8  # voxels of the bright box in a slice


@pytest.fixture
def volume(desktop):
    return add_ct()


@pytest.fixture
def view(volume):
    node = add_slice_view()
    node.SetSliceOffset(4.0 * 3)
    yield node
    slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def panel(view, worker, widget):
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def preview(desktop, panel, ui):
    """Turn the preview on, and wait until it shows a slice."""

    def preview(index=3):
        if not ui.livePreviewCheckBox.checked:
            desktop.click(ui.livePreviewCheckBox)
        desktop.wait_until(lambda: overlaid() == index)
        panel.onTick()

    return preview


@pytest.fixture
def finish(desktop, worker, panel):
    def finish():
        worker.go_on()
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return finish


def overlay():
    """Return the node of the overlay, None if there is none."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return next((node for node in nodes if node.GetHideFromEditors()), None)


def overlaid():
    """Return the stored slice that the overlay shows, None if it shows none."""
    if overlay() is None:
        return None
    segmentation = overlay().GetSegmentation()
    image = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    k0, k1 = image.GetExtent()[4:]
    return k0 if k0 == k1 else None


def results():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if not node.GetHideFromEditors()]


def test_the_slice_that_is_looked_at_is_shown_and_nothing_is_written(preview, view, worker):
    preview(3)
    view.SetSliceOffset(4.0 * 7)
    preview(7)
    assert results() == [] and worker.requests == []


def test_turned_off_it_leaves_nothing(desktop, preview, panel, ui):
    preview()
    desktop.click(ui.livePreviewCheckBox)
    panel.onTick()
    assert overlay() is None and not ui.keepSliceButton.enabled
    assert ui.keepSliceButton.toolTip == "Turn on the live preview first."


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

    desktop.click(ui.segmentButton)
    finish()
    panel.parameters.segmentation = chosen = panel.parameters.result
    assert set(readProfile(chosen).values) == set(range(SLICES))
    preview(3)
    desktop.click(ui.keepSliceButton)
    finish()
    assert set(readProfile(chosen).values) == set(range(SLICES)) - {3}


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


def test_a_run_interrupts_the_preview_and_it_goes_on_afterwards(
    desktop, preview, panel, ui, worker, finish
):
    preview()
    worker.hold()
    desktop.click(ui.segmentButton)
    assert overlaid() is None
    assert ui.livePreviewCheckBox.checked and not ui.livePreviewCheckBox.enabled
    assert ui.livePreviewCheckBox.toolTip.startswith("Something is being done")
    finish()
    assert segment_voxels(panel.parameters.result) == (SLICES - 2) * BOX
    preview()


def test_leaving_the_module_takes_the_preview_away_and_coming_back_brings_it(
    desktop, preview, module
):
    preview()
    desktop.show("SegmentEditor")
    assert overlay() is None
    desktop.show(module)
    preview()


def test_closing_the_scene_turns_the_preview_off(desktop, preview, panel, ui):
    preview()
    desktop.close_scene()
    panel.onTick()
    assert not ui.livePreviewCheckBox.checked and not ui.livePreviewCheckBox.enabled
    assert ui.livePreviewCheckBox.toolTip == "Choose a volume to preview."
    assert overlay() is None


def test_the_volume_is_deleted_under_the_preview(preview, panel, ui, volume):
    preview()
    slicer.mrmlScene.RemoveNode(volume)
    panel.onTick()
    assert overlay() is None and not ui.livePreviewCheckBox.enabled
    assert ui.livePreviewCheckBox.toolTip == "Choose a volume to preview."


def test_the_preview_follows_to_the_volume_that_is_chosen(desktop, preview, panel, worker):
    preview()
    panel.parameters.inputVolume = another = add_ct("another")
    desktop.wait_until(lambda: worker.previews[-1].volume.name == another.GetName())
    preview()


def test_what_goes_wrong_is_said_once_and_turns_the_preview_off(
    desktop, preview, panel, ui, worker
):
    worker.fail(EngineError("The network cannot be run.", "Try the device cpu."))
    desktop.click(ui.livePreviewCheckBox)
    desktop.wait_until(lambda: not ui.livePreviewCheckBox.checked)
    panel.onTick()
    assert ui.previewNoteLabel.text == "The network cannot be run. Try the device cpu."
    assert ui.previewNoteLabel.isVisible()
    preview()  # which clears the note
    assert not ui.previewNoteLabel.isVisible()


def test_what_the_worker_warns_of_is_said_beside_the_preview(desktop, preview, panel, ui, worker):
    worker.hold()
    desktop.click(ui.livePreviewCheckBox)
    desktop.wait_until(lambda: worker.previewing)
    worker.warn("CT is brighter than the images the network was taught on.")
    worker.go_on()
    preview()
    assert ui.previewNoteLabel.text == "CT is brighter than the images the network was taught on."
    desktop.click(ui.livePreviewCheckBox)
    panel.onTick()
    assert ui.previewNoteLabel.text == ""


def test_a_checkpoint_that_was_replaced_is_previewed_anew(
    preview, panel, worker, desktop, monkeypatch
):
    preview()
    asked = len(worker.previews)
    from GDLASegmenterLib import PreviewPart, SlicePreviews

    for module in PreviewPart, SlicePreviews:
        monkeypatch.setattr(module, "modelFileState", lambda model: (1, 2, 3))
    desktop.wait_until(lambda: len(worker.previews) > asked)
    assert worker.previews[-1].indices == (3,)
    preview()


def test_another_device_or_borders_ask_the_worker_anew(desktop, preview, panel, ui, worker):
    preview()
    first = worker.previews[-1]
    assert (first.model.device, first.borders) == ("auto", "smooth")
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("cpu"))
    panel.parameters.smoothBorders = False
    desktop.wait_until(lambda: worker.previews[-1].borders == "published")
    assert worker.previews[-1].model.device == "cpu"
    preview()


def test_without_a_runtime_the_box_says_what_to_do(panel, ui, monkeypatch):
    monkeypatch.setattr(type(panel.environment), "isReady", property(lambda self: False))
    panel.onTick()
    assert not ui.livePreviewCheckBox.enabled
    assert ui.livePreviewCheckBox.toolTip == (
        "ONNX Runtime is not installed. Click Segment to install it."
    )


def test_without_slice_views_the_panel_says_that_there_is_nothing_to_preview(
    desktop, panel, ui, view
):
    view.SetMappedInLayout(False)
    desktop.click(ui.livePreviewCheckBox)
    panel.onTick()
    assert ui.previewNoteLabel.text.startswith("No slice view is along the slices of CT")
    assert not ui.keepSliceButton.enabled


def test_the_panel_looks_more_often_while_a_slice_is_waited_for(
    desktop, preview, panel, ui, worker, monkeypatch
):
    from GDLASegmenterLib import Panel

    monkeypatch.setattr(Panel, "_TICK_MS", 50)
    worker.hold()
    panel.onTick()
    assert panel._timer.interval == 50
    desktop.click(ui.livePreviewCheckBox)
    panel.onTick()
    assert panel._timer.interval == 10
    worker.go_on()
    preview()
    desktop.wait_until(lambda: panel._timer.interval == 50)
