"""The panel's live preview: when it is on, and what stops it."""

from __future__ import annotations

import slicer
from panel_preview import BOX, overlaid, overlay, results
from panels import SLICES, add_ct, segment_voxels

from GDLACore.errors import EngineError

pytest_plugins = ("panel_preview",)


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
