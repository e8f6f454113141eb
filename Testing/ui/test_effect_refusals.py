"""When the Segment Editor effect cannot do its work, or something comes in between."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from nodes import add_volume
from panels import add_ct, ct_array

from GDLACore.errors import WorkerError

BRIGHT = ct_array() > 0
SHIFT = np.eye(4) + np.eye(4, k=3) * 5


def set_grid(desk, spacing):
    """Let the segmentation be edited in other voxels than the volume's."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, spacing)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix, [0, 9, 0, 9, 0, 9])
    desk.node.GetSegmentation().SetConversionParameter(name, geometry)


@pytest.fixture
def untouched(desk):
    """Nothing must be written in the test."""
    before = {name: desk.voxels(name) for name in ("liver", "my remark")}
    node = desk.node
    yield
    if node.GetScene() is not None:
        for name, mask in before.items():
            np.testing.assert_array_equal(desk.voxels(name), mask)
        assert node.GetSegmentation().GetNumberOfSegments() == 2


@pytest.fixture
def panel(desk):
    return slicer.modules.GDLASegmenterWidget.panel


def start(desk, scripted):
    """Click while the worker is busy thinking."""
    scripted[0].hold()
    desk.desktop.click(desk.options.segmentButton)
    assert desk.status == "Segmenting slice 5…"
    assert not desk.options.segmentButton.enabled


def finish(desk, scripted, panel):
    """Let the worker answer, and everything be done that follows from it."""
    scripted[0].go_on()
    desk.desktop.wait_until(lambda: not panel.logic.previews.isWaiting)
    desk.desktop.wait_until(lambda: desk.options.segmentButton.enabled)


# What the user can cause


def test_without_a_source_volume_it_says_so(desk, untouched):
    desk.editor.setSourceVolumeNode(None)
    desk.click()
    assert desk.status == "No source volume is chosen. Choose the image to segment."


def test_without_a_selected_segment_it_says_so(desk, untouched):
    desk.parameters.SetSelectedSegmentID(None)
    desk.click()
    assert desk.status == "No segment is selected. Select one, or add one."


def test_without_a_checkpoint_it_says_where_to_choose_one(desk, untouched):
    slicer.modules.GDLASegmenterWidget.logic.getParameterNode().modelName = "not there"
    desk.click()
    assert desk.status.startswith("The checkpoint not there is not on this computer.")
    assert desk.options.checkpointLabel.text == desk.status
    assert desk.options.structureComboBox.count == 0


def test_without_a_runtime_it_says_where_to_install_it(desk, untouched, panel, monkeypatch):
    monkeypatch.setattr(panel.environment, "_inSlicer", ())
    desk.click()
    assert desk.status.startswith("ONNX Runtime, which runs the networks, is not installed.")


def test_an_image_of_another_modality_is_refused(desk, untouched):
    parameters = slicer.modules.GDLASegmenterWidget.logic.getParameterNode()
    parameters.modalityKnownOf = None
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    tree.SetItemAttribute(tree.GetItemByDataNode(desk.volume), name, "MR")
    desk.click()
    assert "is for CT, and CT is MR." in desk.status


def test_while_the_panel_is_at_work_it_says_so(desk, untouched, panel, scripted):
    scripted[0].hold()
    panel.setParameters(slicer.modules.GDLASegmenterWidget.logic.getParameterNode())
    panel.onSegment()
    assert panel.controller.isBusy
    desk.click()
    assert desk.status == "GDLA Segmenter is at work. Wait until it is done, or cancel it there."
    panel.onCancel()
    scripted[0].go_on()
    desk.desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.setParameters(None)


def test_without_a_view_along_the_slices_it_says_so(desk, untouched):
    desk.view.SetMappedInLayout(0)
    other = desk.views.add_slice_node("Green", "Coronal")
    desk.click()
    assert desk.status.startswith("No slice view is along the slices of CT")
    slicer.mrmlScene.RemoveNode(other)


def test_a_tilted_view_is_refused_for_only_a_line_of_the_slice_is_seen(desk, untouched):
    desk.views.tilt(desk.view, 10)
    desk.click()
    assert desk.status.startswith("The slice view is tilted against the slices of CT.")


@pytest.mark.parametrize("index", [-2, 12])
def test_a_view_of_no_slice_is_refused(desk, untouched, index):
    desk.look_at(index)
    desk.click()
    assert desk.status.startswith("The slice view shows nothing of CT.")


def test_a_segmentation_on_another_grid_is_refused(desk):
    set_grid(desk, 0.7)
    desk.click()
    assert desk.status.startswith("manual was made on another voxel grid than that of CT.")


@pytest.mark.parametrize("what", ["grid", "transform"])
def test_an_empty_segmentation_elsewhere_is_refused_too(desk, what):
    """A run would put it in its own place; here the editor's place counts."""
    desk.node.GetSegmentation().RemoveAllSegments()
    desk.options.allRadioButton.click()
    if what == "grid":
        set_grid(desk, 0.7)
    else:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(SHIFT))
        desk.node.SetAndObserveTransformNodeID(transform.GetID())
    desk.click()
    assert desk.status.startswith("manual is edited elsewhere, or in other voxels, than CT.")
    assert desk.node.GetSegmentation().GetNumberOfSegments() == 0


def test_a_ticked_slice_is_refused_until_the_tick_is_gone(desk, untouched):
    desk.reviewed.tick(5)
    desk.click()
    assert desk.status == (
        "You ticked slice 5 as reviewed. "
        "Take the tick away in GDLA Segmenter, under Review, to have it changed."
    )


def test_a_slice_is_written_once_its_tick_is_gone(desk):
    desk.reviewed.tick(5)
    desk.reviewed.tick(6)
    desk.reviewed.release(5)
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver")[5], BRIGHT[5])


@pytest.mark.parametrize("axis", [1, 2])
def test_where_a_slice_along_another_axis_is_ticked_nothing_changes(desk, axis):
    before = desk.voxels("liver")
    desk.reviewed_along(axis).tick(4)
    desk.click()
    expected = before.copy()
    expected[5] = BRIGHT[5]
    ticked = np.arange(16) == 4
    assert (expected != before).any((0, 3 - axis))[4], "else the test proves nothing"
    ticked = ticked[:, None] if axis == 1 else ticked[None]
    np.testing.assert_array_equal(desk.voxels("liver"), np.where(ticked, before, expected))


def test_ticks_on_another_grid_are_refused_as_a_run_does(desk, untouched):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    coarse = add_volume(np.zeros((3, 4, 5), np.int16), np.diag([3.3, 2.1, 1.7, 1]))
    ReviewedSlices(desk.node, volumeGrid(coarse), 0).tick(1)
    desk.click()
    assert desk.status == (
        "manual has reviewed slices on another voxel grid than that of CT. "
        "Choose another segmentation, or create a new one."
    )


def test_who_does_not_want_to_edit_a_hidden_segment_need_not(desk, untouched):
    from pythonqt.declared import behaviour_of

    behaviour_of(desk.effect).hidden_segment_answer = 0
    desk.click()
    assert desk.status == ""


# What comes in between


def test_a_failing_worker_is_reported(desk, untouched, scripted):
    scripted[0].fail(WorkerError("The worker has died.", "Try again."))
    desk.click()
    assert desk.status == "The worker has died. Try again."


def test_who_leaves_the_effect_gets_nothing_any_more(desk, untouched, scripted, panel):
    start(desk, scripted)
    desk.leave()
    finish(desk, scripted, panel)
    desk.activate()
    assert desk.status == ""


def test_what_has_come_is_written_to_the_end_when_the_effect_is_left(desk, scripted):
    """Half a slice would be left for the user to find."""
    desk.options._timer.setInterval(1_000_000)
    start(desk, scripted)
    work = desk.options._work
    scripted[0].go_on()
    desk.desktop.wait_until(lambda: work._steps is not None or work.isOver)
    desk.leave()
    np.testing.assert_array_equal(desk.voxels("liver")[5], BRIGHT[5])


def test_scrolling_on_does_not_change_which_slice_is_written(desk, scripted, panel):
    before = desk.voxels("liver")
    start(desk, scripted)
    desk.look_at(8)
    finish(desk, scripted, panel)
    np.testing.assert_array_equal(desk.voxels("liver")[5], BRIGHT[5])
    np.testing.assert_array_equal(desk.voxels("liver")[8], before[8])
    assert desk.status.startswith("Slice 5:")


def test_a_segment_that_was_removed_meanwhile_is_not_written(desk, scripted, panel):
    start(desk, scripted)
    desk.node.GetSegmentation().RemoveSegment(desk.id_of("liver"))
    finish(desk, scripted, panel)
    assert desk.status == "No segment is selected. Select one, or add one."


def test_a_slice_that_was_ticked_meanwhile_is_not_written(desk, untouched, scripted, panel):
    start(desk, scripted)
    desk.reviewed.tick(5)
    finish(desk, scripted, panel)
    assert desk.status.startswith("You ticked slice 5 as reviewed.")


def test_another_segmentation_is_not_written_to(desk, untouched, scripted, panel):
    start(desk, scripted)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    desk.editor.setSegmentationNode(other)
    finish(desk, scripted, panel)
    assert desk.status == "Another segmentation is edited now: nothing was changed."
    assert other.GetSegmentation().GetNumberOfSegments() == 0


def test_what_was_asked_of_another_source_volume_is_not_written(desk, untouched, scripted, panel):
    start(desk, scripted)
    desk.editor.setSourceVolumeNode(add_ct())
    finish(desk, scripted, panel)
    assert desk.status == "Another source volume is chosen now: nothing was changed."


@pytest.mark.parametrize("removed", ["node", "volume"])
def test_what_was_removed_meanwhile_ends_it(desk, scripted, panel, removed):
    start(desk, scripted)
    slicer.mrmlScene.RemoveNode(getattr(desk, removed))
    finish(desk, scripted, panel)
    assert desk.status


def test_closing_the_scene_ends_it(desk, scripted, panel):
    start(desk, scripted)
    desk.desktop.close_scene()
    scripted[0].go_on()
    desk.desktop.wait_until(lambda: not panel.logic.previews.isWaiting)


def test_closing_slicer_ends_it(desk, scripted):
    start(desk, scripted)
