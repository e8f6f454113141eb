"""What the panel does with reviewed slices, the confidence and the agreement."""

from __future__ import annotations

import pytest
import qt
import slicer
import slicer.util
from panels import SLICES, add_ct, add_slice_view, segment_voxels
from reviewing import draw_into, marks_of, viewed

pytest_plugins = ("reviewing",)

# Reviewed slices


def test_a_ticked_slice_stays_as_it_is_and_shows_so(desktop, segment, panel, look_at, ui, volume):
    panel.parameters.segmentation = result = segment()
    look_at(4)
    desktop.click(ui.reviewedCheckBox)
    panel.onTick()
    assert ui.reviewedCheckBox.checked
    assert ui.sliceNoteLabel.text.endswith(f"1 of {SLICES} slices reviewed.")
    assert marks_of(result, volume).ticked == {4}
    slicer.util.arrayFromVolume(volume)[:] = -1000  # nothing is found any more
    slicer.util.arrayFromVolumeModified(volume)
    segment()
    assert segment_voxels(panel.parameters.result) == 8 * 8
    look_at(5)
    assert not ui.reviewedCheckBox.checked
    look_at(4)
    desktop.click(ui.reviewedCheckBox)
    segment()
    assert segment_voxels(panel.parameters.result) == 0


def test_of_two_views_the_one_moved_last_is_marked_previewed_and_taken_along(
    desktop, segment, panel, look_at, ui, volume, view
):
    result = segment()
    second = add_slice_view("Second")
    try:
        desktop.click(ui.livePreviewCheckBox)
        for node, index in ((second, 7), (view, 3), (second, 8)):
            node.SetSliceOffset(4.0 * index)
            panel.onTick()
            assert ui.sliceNoteLabel.text.startswith(f"Slice {index}: ")
            assert panel.preview._live.viewedIndex == index
        assert marks_of(result, volume).ticked == set()
        desktop.click(ui.reviewedCheckBox)
        assert marks_of(result, volume).ticked == {8}
        desktop.click(ui.nextDoubtfulButton)
        assert (viewed(second), viewed(view)) == (5, 3)
    finally:
        slicer.mrmlScene.RemoveNode(second)


def test_a_slice_that_is_edited_is_reviewed_without_a_click(desktop, segment, volume, look_at, ui):
    result = segment()
    look_at(4)
    draw_into(result, volume, 4)
    desktop.wait_until(lambda: ui.reviewedCheckBox.checked)
    assert ui.reviewedCheckBox.text == "Slice is reviewed (edited)"
    look_at(5)
    assert not ui.reviewedCheckBox.checked
    assert ui.reviewedCheckBox.text == "Slice is reviewed"


def test_edits_in_another_module_are_found_when_the_user_comes_back(
    desktop, module, segment, volume, look_at, ui
):
    result = segment()
    desktop.show("SegmentEditor")
    draw_into(result, volume, 4)
    desktop.show(module)
    look_at(4)
    desktop.wait_until(lambda: ui.reviewedCheckBox.checked)


def test_slices_can_be_marked_while_others_are_computed(desktop, segment, panel, worker, ui):
    panel.parameters.segmentation = segment()
    worker.hold()
    desktop.click(ui.segmentButton)
    assert not ui.reviewedCheckBox.enabled
    assert ui.reviewedCheckBox.toolTip.startswith("Something is being done")
    worker.let(4)
    desktop.wait_until(lambda: panel.controller.state.value == "running")
    panel.onTick()
    assert ui.reviewedCheckBox.enabled
    worker.go_on()
    desktop.wait_until(lambda: not panel.controller.isBusy)


def test_the_frame_of_a_sequence_is_not_marked(segment, panel, ui, monkeypatch):
    from GDLASegmenterLib import ReviewSubject

    monkeypatch.setattr(ReviewSubject, "browserOf", lambda node: object())
    segment()
    assert not ui.reviewedCheckBox.enabled
    assert "frame of a sequence" in ui.reviewedCheckBox.toolTip


# What comes and goes


def test_the_segmentation_is_deleted(segment, panel, ui):
    slicer.mrmlScene.RemoveNode(segment())
    panel.onTick()
    assert not ui.doubtFrame.isVisible()
    assert ui.sliceNoteLabel.text == "Nothing to review yet."
    assert not ui.showConfidenceCheckBox.enabled and not ui.agreementButton.enabled


def test_the_table_of_doubt_is_deleted(segment, panel, ui):
    from GDLASegmenterLib.DoubtProfile import profileNode

    slicer.mrmlScene.RemoveNode(profileNode(segment()))
    panel.onTick()
    assert not ui.doubtFrame.isVisible() and not ui.nextDoubtfulButton.enabled


def test_the_scene_is_closed(desktop, segment, panel, ui, look_at):
    segment()
    desktop.close_scene()
    panel.onTick()
    assert not ui.doubtFrame.isVisible()
    assert ui.sliceNoteLabel.text == "Nothing to review yet."


def test_leaving_the_module_while_reviewing_and_coming_back(desktop, module, segment, look_at, ui):
    segment()
    look_at(3)
    desktop.show("SegmentEditor")
    desktop.show(module)
    look_at(5)
    assert ui.doubtFrame.isVisible() and "rank 1 of" in ui.sliceNoteLabel.text


def test_a_picture_of_one_slice_has_nothing_to_go_through(desktop, panel, segment, look_at, ui):
    panel.parameters.inputVolume = add_ct("single", slices=1)
    segment()
    look_at(0)
    assert not ui.doubtFrame.isVisible()
    assert ui.sliceNoteLabel.text.startswith("Slice 0: ")
    desktop.click(ui.reviewedCheckBox)
    panel.onTick()
    assert ui.reviewedCheckBox.checked and not ui.nextDoubtfulButton.enabled


# Confidence and agreement


def test_the_confidence_is_laid_over_the_views_and_taken_off(
    desktop, segment, panel, ui, volume, view
):
    from GDLASegmenterLib.ConfidenceVolume import confidenceNode

    composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(volume.GetID())
    result = segment()
    assert ui.showConfidenceCheckBox.enabled and not ui.showConfidenceCheckBox.checked
    desktop.click(ui.showConfidenceCheckBox)
    panel.onTick()
    assert ui.showConfidenceCheckBox.checked
    assert composite.GetForegroundVolumeID() == confidenceNode(result).GetID()
    desktop.click(ui.showConfidenceCheckBox)
    panel.onTick()
    assert not ui.showConfidenceCheckBox.checked and not composite.GetForegroundVolumeID()
    slicer.mrmlScene.RemoveNode(composite)


def test_a_confidence_volume_is_offered_for_no_segmentation(segment, ui):
    segment()
    names = [
        ui.inputVolumeSelector.nodeFromIndex(index).GetName()
        for index in range(ui.inputVolumeSelector.nodeCount())
    ]
    assert names == ["CT"]


@pytest.fixture
def compare(desktop, panel, ui):
    def compare(answer, *more):
        def choose(dialog):
            (box,) = dialog.findChildren(qt.QComboBox)
            box.setCurrentIndex(answer)
            dialog.accept()

        desktop.answer(choose, *more)
        desktop.click(ui.agreementButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return compare


def test_the_agreement_comes_into_a_table_and_into_a_list_that_grows(
    segment, compare, volume, ui, tmp_path
):
    result = segment()
    draw_into(result, volume, 4)
    compare(0)
    assert ui.statusLabel.text == "The agreement is in a table."
    path = tmp_path / "agreement.csv"

    def choose(dialog):
        dialog.selectFile(str(path))
        dialog.accept()

    compare(1, choose)
    assert ui.statusLabel.text.endswith(f"and in {path}.")
    rows = path.read_text(encoding="utf-8-sig").splitlines()
    compare(2)
    assert len(path.read_text(encoding="utf-8-sig").splitlines()) == 2 * len(rows) - 1
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert len([one for one in tables if "agreement" in one.GetName()]) == 3


def test_a_list_that_is_none_is_said_and_left_as_it_is(desktop, segment, compare, panel, tmp_path):
    segment()
    path = tmp_path / "other.csv"
    path.write_text("name,age\n", encoding="utf-8")

    def choose(dialog):
        dialog.selectFile(str(path))
        dialog.accept()

    compare(1, choose, qt.QMessageBox.Ok)
    assert str(path) in desktop.shown[-1].text
    assert path.read_text(encoding="utf-8") == "name,age\n"


def test_a_scene_comes_back_with_its_doubt_and_its_reviewed_slices(
    desktop, segment, panel, look_at, ui, tmp_path
):
    segment()
    look_at(5)
    desktop.click(ui.reviewedCheckBox)
    scene = slicer.mrmlScene
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        if node.GetStorageNode() is None and node.GetSaveWithScene():
            node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        if storage is not None and node.GetSaveWithScene():
            suffix = storage.GetDefaultWriteFileExtension()
            storage.SetFileName(str(tmp_path / f"{node.GetID()}.{suffix}"))
            assert storage.WriteData(node)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    desktop.close_scene()
    assert ui.sliceNoteLabel.text == "Nothing to review yet."
    scene.Import()
    desktop.process_events()
    look_at(5)
    assert ui.doubtFrame.isVisible() and ui.reviewedCheckBox.checked
    assert ui.sliceNoteLabel.text.startswith("Slice 5: doubt 11, rank 1 of 12. 1 of 12")
    desktop.click(ui.nextDoubtfulButton)
    panel.onTick()
    assert ui.sliceNoteLabel.text.startswith("Slice 10: ")
    assert ui.showConfidenceCheckBox.enabled and ui.agreementButton.enabled
