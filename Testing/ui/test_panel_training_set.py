"""A corrected result is added to a training set by the panel: asked, in the background, unnamed."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
import slicer.util
from nodes import add_segment, add_segmentation, put_into_study
from panels import SLICES, add_ct, ct_array, state_of

from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.model.catalogue import find
from GDLACore.training_set import read_training_set

BOX = ct_array() > 0
LABELS = find("demo-ct").card.labels
PRIVATE = (
    *("Miller", "Ann", "PID-4711", "1.2.826.0.1.99", "20240506", "St. Elsewhere"),
    *("Leber", "aunt", "secret study"),
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "for learning"
    folder.mkdir()
    return folder


@pytest.fixture
def panel(worker, widget):
    """The panel with a corrected segmentation: a box in all slices but the first and the last."""
    panel = widget.panel
    volume = add_ct("Miller^Ann CT 20240506")
    node = add_segmentation(volume, {label.name: BOX & (label.value == 1) for label in LABELS})
    segments = node.GetSegmentation()
    for label in LABELS:
        segment = segments.GetSegment(segments.GetSegmentIdBySegmentName(label.name))
        segment.SetTerminology(label.terminology.serialized())
    panel.parameters.inputVolume = volume
    panel.parameters.segmentation = node
    panel.onTick()
    return panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def segmentation(panel):
    return panel.parameters.segmentation


class Answer:
    """What a user does in the dialog: choose a folder and the slices, and press OK if he can."""

    def __init__(self, folder, choice, press=qt.QDialogButtonBox.Ok):
        self.folder, self.choice, self.press = folder, choice, press
        self.choices = self.text = self.before = None

    def __call__(self, dialog):
        labels = slicer.util.findChildren(dialog, className="QLabel")
        self.text = max((label.text for label in labels), key=len)
        (path,) = slicer.util.findChildren(dialog, className="ctkPathLineEdit")
        found = slicer.util.findChildren(dialog, className="QRadioButton")
        radio = sorted(found, key=lambda button: button.y)
        (box,) = slicer.util.findChildren(dialog, className="QDialogButtonBox")
        self.choices = [button.text for button in radio]
        self.before = path.currentPath
        assert not box.button(qt.QDialogButtonBox.Ok).enabled, "nobody has said anything yet"
        if self.folder is not None:
            path.currentPath = str(self.folder)
        if self.choice is not None:
            radio[self.choice].click()
        button = box.button(self.press)
        assert button.enabled is (self.press != qt.QDialogButtonBox.Ok or bool(path.currentPath))
        button.click()


ALL, LABELLED, RANGE = range(3)


@pytest.fixture
def add(desktop, panel):
    """Press the button, answer, and wait for the end; the answer tells what was asked."""

    def add(folder, choice=ALL, *later, **options):
        answer = Answer(folder, choice, **options)
        desktop.answer(answer, *later)
        desktop.click(panel.ui.addCaseButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()
        return answer

    return add


def test_a_result_becomes_a_case_that_is_read_back(desktop, panel, ui, segmentation, folder, add):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    answer = add(folder)
    (case,) = read_training_set(folder)
    image = read_volume(case.image)
    np.testing.assert_array_equal(image.array, ct_array())
    np.testing.assert_array_equal(read_labels(case.segmentation, image), BOX)
    assert (case.axis, case.reviewed) == (0, None) and case.model.startswith("demo-ct:")
    assert ui.statusLabel.text == (
        f"Case 1 of your training set: 9 structures, {SLICES} of {SLICES} slices reviewed"
    )
    assert ui.statusLabel.text in ui.logText.plainText
    assert answer.choices == [f"All {SLICES} slices", "Only slices with a segment"]
    assert "Liver, Spleen" in answer.text and answer.before == ""
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert state_of(slicer.modules.GDLASegmenterWidget) == "done"


def test_the_folder_is_asked_for_once_and_shown_from_then_on(desktop, panel, ui, folder, add):
    add(folder)
    answer = add(None, LABELLED)
    assert answer.before == str(folder)
    first, second = sorted(read_training_set(folder), key=lambda case: case.reviewed is None)
    assert first.reviewed == ((1, SLICES - 1),) and second.reviewed is None
    assert first.patient == second.patient  # the same image
    assert ui.statusLabel.text.startswith("Case 2 of your training set: 9 structures, 10 of 12")


def test_a_range_that_is_chosen_of_the_same_volume_is_offered(panel, segmentation, folder, add):
    from GDLASegmenterLib.Parameters import SegmentedPart

    panel.parameters.part = SegmentedPart.SLICE_RANGE
    panel.parameters.firstSlice, panel.parameters.lastSlice = 99999, 3
    answer = add(folder, RANGE)
    assert answer.choices[RANGE] == f"Slices 3 to {SLICES - 1}, as chosen in the panel"
    assert read_training_set(folder)[0].reviewed == ((3, SLICES),)
    panel.parameters.inputVolume = add_ct("another")  # the result is not of this one
    panel.parameters.segmentation = segmentation
    panel.parameters.part = SegmentedPart.SLICE_RANGE
    assert len(add(folder).choices) == RANGE


def test_slices_that_were_reviewed_are_offered_first(panel, segmentation, folder, add):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    slices = ReviewedSlices(segmentation, volumeGrid(panel.parameters.inputVolume), 0)
    for index in (4, 2, 3, 9):
        slices.tick(index)
    answer = add(folder, 0)
    assert answer.choices[0] == "The 4 slices you reviewed"
    assert read_training_set(folder)[0].reviewed == ((2, 5), (9, 10))


def test_missing_and_unknown_segments_are_told_and_left_out(panel, segmentation, folder, add):
    segments = segmentation.GetSegmentation()
    segments.RemoveSegment(segments.GetSegmentIdBySegmentName("Spleen"))
    add_segment(segmentation, panel.parameters.inputVolume, "scribble", BOX)
    answer = add(folder)
    assert "so unknown: Spleen." in answer.text
    assert answer.text.endswith("or copies: scribble.")
    (case,) = read_training_set(folder)
    written = case.segmentation.read_bytes()
    assert b"Spleen" not in written and b"scribble" not in written


def test_who_declines_has_done_nothing(desktop, ui, folder, add):
    add(folder, ALL, press=qt.QDialogButtonBox.Cancel)
    assert ui.statusLabel.text == "" and list(folder.iterdir()) == []
    assert ui.addCaseButton.enabled


def test_nothing_in_the_files_leads_to_the_patient(desktop, panel, segmentation, folder, add):
    volume = panel.parameters.inputVolume
    put_into_study(volume)
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(volume)
    patient = tree.GetItemAncestorAtLevel(item, "Patient")
    study = tree.GetItemAncestorAtLevel(item, "Study")
    tree.SetItemName(patient, "Miller^Ann")
    tree.SetItemName(study, "secret study")
    tree.SetItemAttribute(patient, "DICOM.PatientID", "PID-4711")
    tree.SetItemAttribute(patient, "DICOM.PatientName", "Miller^Ann")
    tree.SetItemAttribute(study, "DICOM.StudyDate", "20240506")
    tree.SetItemUID(item, "DICOM", "1.2.826.0.1.99.7")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.826.0.1.99.7.1 1.2.826.0.1.99.7.2")
    volume.SetAttribute("DICOM.InstitutionName", "St. Elsewhere")
    volume.SetDescription("Ann Miller's aunt")
    segments = segmentation.GetSegmentation()
    segmentation.SetName("Ann's Leber")
    segments.GetNthSegment(0).SetName("Leber Miller")
    segments.GetNthSegment(0).SetTag("Note", "Ann's aunt")
    add(folder)
    add(None)
    cases = read_training_set(folder)
    assert len({case.patient for case in cases}) == 1
    home = str(Path.home())
    for path in (path for path in folder.rglob("*") if path.is_file()):
        for place in (path.relative_to(folder).as_posix(), path.read_bytes().decode("latin-1")):
            for word in (*PRIVATE, str(folder.parent), "/tmp", home if home != "/" else "/home"):
                assert word.lower() not in place.lower() or len(word) < 4, (path, word)
        assert "Ann" not in path.read_bytes().partition(b"\n\n")[0].decode()
    secret = folder.parent / "NA-MIC" / "GDLASegmenter" / "training-set.secret"
    assert secret.read_bytes() not in b"".join(case.image.read_bytes() for case in cases)
    description = json.loads((cases[0].image.parent / "case.json").read_text())
    assert description["patient"] == cases[0].patient != "PID-4711"


# In the background


@pytest.fixture
def held(panel, monkeypatch):
    """Hold the thread that writes until told to go on."""
    from GDLASegmenterLib import TrainingSetPart

    class Held:
        started, going = threading.Event(), threading.Event()

    original = TrainingSetPart._write

    def write(*arguments):
        Held.started.set()
        assert Held.going.wait(60)
        return original(*arguments)

    monkeypatch.setattr(TrainingSetPart, "_write", write)
    yield Held
    Held.going.set()


def test_the_user_goes_on_meanwhile_and_the_case_is_as_it_was(
    desktop, panel, ui, segmentation, folder, held
):
    desktop.answer(Answer(folder, ALL))
    desktop.click(ui.addCaseButton)
    desktop.wait_until(held.started.is_set)
    assert ui.cancelButton.enabled and not ui.addCaseButton.enabled
    slicer.util.arrayFromVolume(panel.parameters.inputVolume)[:] = 7
    desktop.close_scene()
    held.going.set()
    desktop.wait_until(lambda: not panel.controller.isBusy)
    (case,) = read_training_set(folder)
    np.testing.assert_array_equal(read_volume(case.image).array, ct_array())
    panel.onTick()
    assert ui.statusLabel.text.startswith("Case 1 of your training set")


def test_a_scene_that_is_closed_while_it_is_copied_ends_it(desktop, panel, ui, folder, monkeypatch):
    from GDLASegmenterLib import Activities

    monkeypatch.setattr(Activities, "_BUDGET_S", -1)  # not a step is done
    desktop.answer(Answer(folder, ALL))
    desktop.click(ui.addCaseButton)
    assert panel.controller.isBusy
    assert ui.statusLabel.text == "Copying Miller^Ann CT 20240506…"
    next(panel.controller._activity._steps)
    desktop.close_scene()
    assert not panel.controller.isBusy and ui.statusLabel.text == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("when", ["copying", "writing"])
def test_cancel_leaves_nothing(desktop, panel, ui, folder, held, monkeypatch, when):
    from GDLASegmenterLib import Activities

    if when == "copying":
        monkeypatch.setattr(Activities, "_BUDGET_S", -1)
    desktop.answer(Answer(folder, ALL))
    desktop.click(ui.addCaseButton)
    if when == "writing":
        desktop.wait_until(held.started.is_set)
    desktop.click(ui.cancelButton)
    held.going.set()
    desktop.wait_until(lambda: not panel.controller.isBusy)
    assert ui.statusLabel.text == "Stopped. Nothing was changed."
    assert list(folder.iterdir()) == []


# What goes wrong


def test_a_segmentation_of_another_grid_is_refused_before_anything_is_asked(
    desktop, panel, ui, segmentation, folder
):
    other = add_ct("other")
    other.SetSpacing(1, 1, 1)
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    segmentation.SetNodeReferenceID(role, other.GetID())
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.addCaseButton)
    assert "was made on another voxel grid than that of other." in desktop.shown[-1].text
    assert state_of(slicer.modules.GDLASegmenterWidget) == "failed"


def test_an_empty_segmentation_has_no_slice_with_a_segment(desktop, ui, segmentation, folder, add):
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        logic.ClearSegment(segmentation, segment_id)
    add(folder, LABELLED, qt.QMessageBox.Ok)
    assert "has a segment." in desktop.shown[-1].text and list(folder.iterdir()) == []
    add(folder, ALL)  # that nothing is there is something to learn
    assert ui.statusLabel.text.startswith("Case 1 of your training set: 9 structures, 12 of 12")


def test_a_folder_that_cannot_be_written_to_is_told_and_not_remembered(desktop, ui, tmp_path, add):
    add(tmp_path / "nowhere", ALL, qt.QMessageBox.Ok)
    assert str(tmp_path / "nowhere") in desktop.shown[-1].text
    assert ui.statusLabel.text.startswith("Failed: ")
    assert qt.QSettings().value("GDLASegmenter/TrainingSetFolder") is None
