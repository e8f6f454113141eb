"""What may happen to the panel while it works: nodes and scenes go, users leave, Slicer ends."""

from __future__ import annotations

import pytest
import qt
import slicer
from nodes import add_roi
from panels import SLICES, add_ct, ct_array, segment_voxels, state_of

STATES = ("idle", "preparing", "running", "cancelling", "done")


@pytest.fixture
def volume(desktop):
    return add_ct()


@pytest.fixture
def panel(volume, worker, widget):
    return widget.panel


@pytest.fixture
def bring_to(desktop, worker, panel, widget):
    """Bring the panel into a state, and keep it there."""

    def bring_to(state):
        worker.hold()
        if state != "idle":
            desktop.click(panel.ui.segmentButton)
        if state in ("running", "cancelling"):
            worker.let(2 + 2)
            desktop.wait_until(lambda: state_of(widget) == "running")
            desktop.wait_until(lambda: worker.steps_left == 0)
        if state == "cancelling":
            desktop.click(panel.ui.cancelButton)
        if state == "done":
            go_on(desktop, panel)
        assert state_of(widget) == state

    return bring_to


def go_on(desktop, panel):
    panel.worker.go_on()
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()


def can_segment(desktop, panel):
    """Segment, to the end, with the panel as it is."""
    desktop.click(panel.ui.segmentButton)
    go_on(desktop, panel)
    assert "structures" in panel.ui.statusLabel.text
    return panel.parameters.result


# Nodes that go


@pytest.mark.parametrize("state", STATES)
def test_the_volume_is_deleted(desktop, panel, bring_to, volume, state):
    bring_to(state)
    slicer.mrmlScene.RemoveNode(volume)
    go_on(desktop, panel)
    ui = panel.ui
    assert panel.parameters.inputVolume is None
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "Choose a volume to segment."
    if state in ("preparing", "running", "cancelling"):
        assert ui.statusLabel.text.startswith("Stopped: CT is not in the scene any more.")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    add_ct("another")
    assert panel.parameters.inputVolume.GetName() == "another"
    assert can_segment(desktop, panel) is not None


@pytest.mark.parametrize("state", STATES[1:])
def test_the_result_is_deleted(desktop, panel, bring_to, state):
    can_segment(desktop, panel)
    before = panel.parameters.result
    panel.ui.segmentationSelector.setCurrentNode(before)
    bring_to(state)
    slicer.mrmlScene.RemoveNode(before)
    go_on(desktop, panel)
    assert panel.ui.segmentationSelector.currentNode() is None
    assert panel.ui.segmentsTable.segmentationNode() is None
    assert not panel.ui.editButton.enabled and not panel.ui.volumesButton.enabled
    assert not panel.ui.show3DButton.enabled
    assert can_segment(desktop, panel) is not before


@pytest.mark.parametrize("state", STATES)
def test_the_region_is_deleted(desktop, panel, bring_to, state):
    from GDLASegmenterLib.Parameters import SegmentedPart

    panel.parameters.part = SegmentedPart.REGION
    panel.parameters.region = region = add_roi((15, 22.5, 22), (8, 12, 16))
    bring_to(state)
    slicer.mrmlScene.RemoveNode(region)
    go_on(desktop, panel)
    if state in ("preparing", "running", "done"):
        assert segment_voxels(panel.parameters.result) == 4 * 4 * 4
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.segmentButton)
    assert desktop.shown[0].text.startswith("No region is chosen.")


def test_the_user_deletes_the_volume_while_another_is_there(desktop, panel, bring_to, volume):
    another = add_ct("another")
    bring_to("running")
    slicer.mrmlScene.RemoveNode(volume)
    go_on(desktop, panel)
    assert panel.parameters.inputVolume is another
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert can_segment(desktop, panel).GetName().startswith("another")


# Scenes that go and come


@pytest.mark.parametrize("state", STATES)
def test_the_scene_is_closed(desktop, panel, bring_to, state):
    bring_to(state)
    desktop.close_scene()
    go_on(desktop, panel)
    assert panel.parameters.inputVolume is None and panel.parameters.result is None
    assert panel.ui.segmentsTable.segmentationNode() is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    add_ct("another")
    assert can_segment(desktop, panel).GetName().startswith("another")


def test_nothing_of_a_closed_scene_is_told(desktop, panel, bring_to):
    bring_to("done")
    desktop.close_scene()
    assert panel.ui.statusLabel.text == ""


def test_a_scene_with_nodes_of_the_same_names_is_loaded_while_running(
    desktop, panel, bring_to, tmp_path
):
    voxels = segment_voxels(can_segment(desktop, panel))
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.RemoveNode(panel.parameters.result)
    bring_to("running")  # its segmentation has the ID of the one in the file
    desktop.close_scene()
    slicer.util.loadScene(path)
    go_on(desktop, panel)
    loaded = panel.parameters.result
    assert loaded is not None and segment_voxels(loaded) == voxels
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


# Users who leave


def test_the_run_goes_on_while_another_module_is_shown(desktop, module, panel, bring_to):
    bring_to("running")
    desktop.show("SegmentEditor")
    go_on(desktop, panel)
    desktop.show(module)
    assert panel.ui.statusLabel.text.startswith("1 structures")
    assert panel.ui.segmentsTable.segmentationNode() is panel.parameters.result
    assert segment_voxels(panel.parameters.result) == 64 * (SLICES - 2)


def test_coming_back_while_it_runs_shows_how_far_it_is(desktop, module, panel, bring_to, worker):
    bring_to("running")
    desktop.show("SegmentEditor")
    desktop.show(module)
    panel.onTick()
    assert panel.ui.progressBar.isVisible() and panel.ui.cancelButton.enabled
    assert panel.ui.segmentsTable.segmentationNode() is not None
    desktop.click(panel.ui.cancelButton)
    go_on(desktop, panel)
    assert "are kept" in panel.ui.statusLabel.text


def test_a_failure_is_shown_in_whatever_module_the_user_is(
    desktop, module, panel, bring_to, worker
):
    from GDLACore.errors import WorkerError

    bring_to("running")
    desktop.show("SegmentEditor")
    worker.fail(WorkerError("The background process crashed.", "Try again."))
    desktop.answer(qt.QMessageBox.Ok)
    go_on(desktop, panel)
    desktop.show(module)
    assert len(desktop.shown) == 1


def test_two_panels_show_the_same_choices_and_the_same_result(desktop, module, panel, scripted):
    second = desktop.second_panel(module).panel
    panel.ui.partComboBox.currentText = "Slice range"
    assert second.ui.partComboBox.currentText == "Slice range"
    second.ui.partComboBox.currentText = "Whole volume"
    result = can_segment(desktop, panel)
    second.onTick()
    assert second.ui.segmentsTable.segmentationNode() is result
    assert can_segment(desktop, panel) is not result
    assert [len(worker.requests) for worker in scripted] == [2, 0]


# Slicer ends, or the developer reloads


@pytest.mark.parametrize("state", ["preparing", "running", "done"])
def test_the_module_is_reloaded(desktop, module, panel, bring_to, worker, scripted, state):
    bring_to(state)
    new = desktop.reload(module).panel
    assert new is not panel and not worker.busy
    assert can_segment(desktop, new) is not None
    assert worker is not new.worker
    assert not panel._timer.active


@pytest.mark.parametrize("state", ["preparing", "running", "cancelling"])
def test_slicer_ends(desktop, panel, bring_to, worker, state):
    bring_to(state)
    desktop.quit()
    assert not worker.busy and not panel._timer.active


def test_slicer_may_say_that_it_quits_before_it_unloads_the_module(
    desktop, panel, bring_to, worker
):
    bring_to("running")
    slicer.app.aboutToQuit.emit()
    assert not worker.busy and not panel._timer.active
    desktop.quit()


def test_the_volume_changes_while_it_is_segmented(desktop, panel, bring_to, volume):
    bring_to("running")
    slicer.util.updateVolumeFromArray(volume, ct_array() + 5)
    go_on(desktop, panel)
    assert "CT was changed while it was being segmented" in panel.ui.statusLabel.text
