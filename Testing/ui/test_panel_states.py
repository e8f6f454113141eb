"""What the panel shows and allows while it works, and how what it does comes to an end."""

from __future__ import annotations

import pytest
import qt
import slicer
from panels import SLICES, add_ct, ct_array, segment_voxels, state_of

from GDLACore.errors import WorkerError

STEPS_BEFORE_SLICES = 2  # the volume is handed over, the labels are there
BOX = 8 * 8  # voxels of the bright box in a slice


@pytest.fixture
def volume(desktop):
    return add_ct()


@pytest.fixture
def panel(volume, worker, widget):
    return widget.panel


@pytest.fixture
def begin(desktop, worker, panel):
    """Click Segment, and let the worker finish some slices, or only begin."""

    def begin(slices=0):
        worker.hold()
        desktop.click(panel.ui.segmentButton)
        worker.let(STEPS_BEFORE_SLICES + slices)
        desktop.wait_until(lambda: worker.steps_left == 0)
        panel.onTick()

    return begin


@pytest.fixture
def finish(desktop, worker, panel):
    def finish():
        worker.go_on()
        desktop.wait_until(lambda: not panel.controller.isBusy)

    return finish


def shown(panel):
    """Return what a user sees that he may do, in the order of the table's columns."""
    ui = panel.ui
    sections = {ui.inputsSection.enabled, ui.extentSection.enabled, ui.advancedSection.enabled}
    (choices,) = sections
    result = {ui.editButton.enabled, ui.volumesButton.enabled}
    assert len(result) == 1 and ui.show3DButton.locked is not (True in result)
    bar = ui.progressBar.isVisible()
    beginning = ui.segmentButton.enabled, ui.cancelButton.enabled
    preview = ui.livePreviewCheckBox.enabled
    return choices, *beginning, result.pop(), ui.addCaseButton.enabled, preview, bar


def allowed(panel):
    from GDLASegmenterLib.PanelState import ENABLED

    one = ENABLED[panel.controller.state]
    may = one.choices, one.segment, one.cancel, one.result, one.addCase, one.preview
    return *may, one.progress


def test_every_state_allows_what_the_table_says(desktop, panel, worker, widget, begin, finish):
    begin(slices=3)
    finish()  # so that there is a result to edit
    seen = {}
    for _ in range(2):
        seen[state_of(widget)] = shown(panel), allowed(panel)
        worker.hold()
        desktop.click(panel.ui.segmentButton)
        seen[state_of(widget)] = shown(panel), allowed(panel)
        worker.let(STEPS_BEFORE_SLICES + 2)
        desktop.wait_until(lambda: state_of(widget) == "running")
        panel.onTick()
        seen["running"] = shown(panel), allowed(panel)
        desktop.click(panel.ui.cancelButton)
        seen["cancelling"] = shown(panel), allowed(panel)
        finish()
        seen[state_of(widget)] = shown(panel), allowed(panel)
    worker.fail(WorkerError("The background process crashed.", "Try again."))
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.segmentButton)
    finish()
    seen[state_of(widget)] = shown(panel), allowed(panel)
    assert set(seen) == {"idle", "preparing", "running", "cancelling", "done", "failed"}
    assert {state: what for state, (what, _) in seen.items()} == {
        state: rule for state, (_, rule) in seen.items()
    }


def test_progress_is_told_in_slices_with_the_device_and_the_time_left(
    panel, begin, finish, monkeypatch
):
    from GDLASegmenterLib import Activities

    monkeypatch.setattr(Activities, "_ETA_AFTER_S", 0)
    begin(slices=1)
    assert panel.ui.progressBar.value == round(100 / SLICES)
    assert panel.ui.statusLabel.text == f"1 of {SLICES} slices, scripted"
    begin_more(panel, 5)
    assert panel.ui.progressBar.value == 50
    assert panel.ui.statusLabel.text.startswith(f"6 of {SLICES} slices, ")
    assert panel.ui.statusLabel.text.endswith(" s left, scripted")
    finish()
    assert panel.ui.statusLabel.text.startswith("1 structures, ")
    assert panel.ui.statusLabel.text.endswith(", scripted")
    assert panel.ui.statusLabel.text in panel.ui.logText.plainText


def begin_more(panel, slices):
    panel.worker.let(slices)
    while panel.worker.steps_left:
        panel.onTick()


def test_nobody_knows_how_much_is_left_before_the_first_slice(panel, begin, finish):
    begin()
    assert panel.ui.progressBar.maximum == 0
    assert panel.ui.statusLabel.text == "Loading the checkpoint…"
    finish()


def test_cancel_keeps_the_slices_that_are_finished_and_says_so(desktop, panel, begin, finish):
    begin(slices=4)
    desktop.click(panel.ui.cancelButton)
    assert not panel.ui.cancelButton.enabled and not panel.ui.segmentButton.enabled
    finish()
    assert panel.ui.statusLabel.text == "Stopped after 4 slices, which are kept."
    assert segment_voxels(panel.parameters.result) == 3 * BOX  # there is nothing in the first
    assert panel.ui.segmentButton.enabled


def test_cancel_before_the_first_slice_leaves_nothing(desktop, panel, begin, finish):
    begin()
    desktop.click(panel.ui.cancelButton)
    finish()
    assert panel.ui.statusLabel.text == "Stopped. Nothing was changed."
    assert panel.parameters.result is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_failure_is_shown_once_with_what_to_do_and_is_in_the_log(
    desktop, panel, worker, begin, finish
):
    begin(slices=2)
    worker.lines = "onnxruntime: out of memory\n"
    worker.fail(WorkerError("The background process crashed.", "Try the device cpu."))
    desktop.answer(qt.QMessageBox.Ok)
    finish()
    for _ in range(3):
        panel.onTick()
    (message,) = desktop.shown
    assert message.text == "The background process crashed. Try the device cpu."
    assert message.details == worker.lines
    assert panel.ui.statusLabel.text == "Failed: The background process crashed."
    log = panel.ui.logText.plainText
    assert log.count("The background process crashed. Try the device cpu.") == 1
    assert log.count("onnxruntime: out of memory") == 1
    assert panel.parameters.result is not None  # what was finished is kept


def test_after_a_failure_the_next_click_segments(desktop, panel, worker, begin, finish):
    begin()
    worker.fail(WorkerError("The background process crashed.", "Try again."))
    desktop.answer(qt.QMessageBox.Ok)
    finish()
    begin(slices=1)
    assert "Failed" not in panel.ui.statusLabel.text
    finish()
    assert "structures" in panel.ui.statusLabel.text


def test_a_warning_is_shown_with_the_result_and_gone_with_the_next_run(
    desktop, panel, worker, begin, finish
):
    begin(slices=2)
    worker.warn("The memory was short: 4 slices at once instead of 8.")
    finish()
    status, warning = panel.ui.statusLabel.text.splitlines()
    assert "structures" in status and warning.startswith("The memory was short")
    assert warning in panel.ui.logText.plainText
    begin()
    assert "memory" not in panel.ui.statusLabel.text
    finish()


def test_an_error_that_nobody_thought_of_ends_the_run_and_not_the_panel(
    desktop, panel, finish, monkeypatch, caplog
):
    from GDLASegmenterLib import Panel

    def fail(*arguments):
        raise KeyError("spleen")

    monkeypatch.setattr(Panel, "requestOfParameters", fail)
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.segmentButton)
    panel.onTick()
    assert "Unexpected KeyError: 'spleen'." in desktop.shown[0].text
    assert "Report it" in desktop.shown[0].text
    monkeypatch.undo()
    assert panel.ui.segmentButton.enabled


def test_the_log_of_a_worker_that_says_much_is_not_repeated(panel, worker):
    lines = [f"line {number}" for number in range(2000)]
    for end in range(1000, 2001, 100):
        worker.lines = "\n".join(lines[end - 1000 : end]) + "\n"  # it keeps the end
        panel.onTick()
    shown = [line for line in panel.ui.logText.plainText.splitlines() if line]
    assert shown == lines[-len(shown) :] and len(shown) > 1900


# What is there already


def test_create_new_stays_chosen_and_every_run_makes_one(panel, begin, finish):
    results = []
    for _ in range(2):
        begin()
        finish()
        assert panel.ui.segmentationSelector.currentNode() is None
        results.append(panel.parameters.result)
    assert results[0] is not results[1]
    assert panel.ui.segmentsTable.segmentationNode() is results[1]


def test_a_segmentation_that_is_chosen_is_updated(panel, begin, finish):
    begin()
    finish()
    first = panel.parameters.result
    panel.ui.segmentationSelector.setCurrentNode(first)
    begin()
    finish()
    assert panel.parameters.result is first
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert first.GetSegmentation().GetNumberOfSegments() == 9


def test_segment_editor_gets_the_volume_of_the_result_even_if_another_is_chosen(
    desktop, panel, begin, finish, volume
):
    begin()
    finish()
    result = panel.parameters.result
    panel.ui.inputVolumeSelector.setCurrentNode(add_ct("another CT"))
    assert panel.ui.segmentsTable.segmentationNode() is result
    desktop.click(panel.ui.editButton)
    editor = slicer.modules.SegmentEditorWidget.editor
    assert editor.segmentationNode() is result
    assert editor.sourceVolumeNode() is volume


def test_undo_in_segment_editor_takes_a_whole_run_back(desktop, module, panel, begin, finish):
    begin()
    finish()
    result = panel.parameters.result
    desktop.click(panel.ui.editButton)
    desktop.show(module)
    panel.ui.segmentationSelector.setCurrentNode(result)
    before = segment_voxels(result)
    slicer.util.updateVolumeFromArray(panel.parameters.inputVolume, ct_array() * 0 + 60)
    begin()
    finish()
    assert segment_voxels(result) > before
    slicer.modules.SegmentEditorWidget.editor.undo()
    assert segment_voxels(result) == before


def test_surfaces_are_shown_and_hidden_by_their_button(desktop, panel, begin, finish):
    begin()
    finish()
    segmentation = panel.parameters.result.GetSegmentation()
    desktop.click(panel.ui.show3DButton)
    assert segmentation.ContainsRepresentation("Closed surface")
    desktop.click(panel.ui.show3DButton)
    assert not segmentation.ContainsRepresentation("Closed surface")


def test_the_table_is_not_filled_anew_at_every_tick(panel, begin, finish):
    begin()
    finish()
    segment_id = panel.parameters.result.GetSegmentation().GetNthSegmentID(3)
    panel.ui.segmentsTable.setSelectedSegmentIDs([segment_id])
    cell = panel.ui.segmentsTable.tableWidget().item(0, 3)
    panel.onTick()
    assert panel.ui.segmentsTable.tableWidget().item(0, 3) is cell
