"""What the panel offers for a volume, and what the user may choose."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from nodes import (
    add_color_volume,
    add_label_map,
    add_segmentation,
    add_volume,
    add_volume_sequence,
)
from panels import SPACING, add_ct, add_slice_view, ct_array, segment_voxels

BOX = 8 * 8  # voxels of the bright box in a slice
RANDOM = np.random.default_rng(0)
VOLUMES = {
    "CT": lambda: add_ct(),
    "MR": lambda: add_volume(RANDOM.integers(0, 900, (9, 16, 16)).astype(np.int16)),
    "US": lambda: add_volume(RANDOM.integers(0, 255, (1, 40, 40)).astype(np.uint8)),
    "RGB": lambda: add_color_volume(RANDOM.integers(0, 255, (1, 40, 40, 3)).astype(np.uint8)),
}


@pytest.fixture
def ui(worker, widget):
    return widget.panel.ui


@pytest.fixture
def parameters(worker, widget):
    return widget.panel.parameters


@pytest.fixture
def slice_view(desktop):
    """A slice view that shows axial slices."""
    node = add_slice_view()
    yield node
    slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def segment(desktop, ui, widget):
    """Segment, and return the result."""

    def segment():
        desktop.click(ui.segmentButton)
        desktop.wait_until(lambda: not widget.panel.controller.isBusy)
        widget.panel.onTick()
        return widget.panel.parameters.result

    return segment


def offered(ui):
    return tuple(ui.modelComboBox.itemText(index) for index in range(ui.modelComboBox.count))


def set_modality(volume, modality):
    """Note the modality as Slicer's DICOM module does."""
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    tree.SetItemAttribute(tree.GetItemByDataNode(volume), name, modality)


# Volume and modality


def test_without_a_volume_there_is_nothing_to_segment(ui):
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "Choose a volume to segment."
    add_ct()
    assert ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "Segment the volume."


@pytest.mark.parametrize("modality", list(VOLUMES))
def test_the_modality_is_guessed_from_the_volume_that_is_there(desktop, module, scripted, modality):
    VOLUMES[modality]()
    assert desktop.show(module).panel.parameters.modality.name == modality


@pytest.mark.parametrize("modality", list(VOLUMES))
def test_the_modality_is_guessed_from_the_volume_that_comes(ui, parameters, modality):
    VOLUMES[modality]()  # first without voxels, as Slicer's own functions make it
    assert parameters.modality.name == modality
    assert ui.modalityComboBox.currentText == parameters.modality.label()


def test_what_dicom_says_counts_more_than_the_values(desktop, module, scripted):
    set_modality(VOLUMES["MR"](), "US")
    assert desktop.show(module).panel.parameters.modality.name == "US"


def test_a_modality_that_the_user_chose_stays_until_another_volume_is_chosen(
    desktop, module, ui, parameters
):
    volume = add_ct()
    ui.modalityComboBox.currentText = "MR"
    desktop.show("SegmentEditor")
    desktop.show(module)
    slicer.util.updateVolumeFromArray(volume, ct_array() + 1)
    assert ui.modalityComboBox.currentText == "MR"
    ui.inputVolumeSelector.setCurrentNode(add_ct("another"))
    assert ui.modalityComboBox.currentText == "CT"


def test_the_volume_in_the_views_is_chosen_and_no_label_map(desktop, module, scripted):
    add_label_map(np.zeros((3, 4, 4), np.uint8))
    add_ct("first")
    shown = add_ct("shown")
    slicer.util.setSliceViewerLayers(background=shown)
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(shown.GetID())
    panel = desktop.show(module).panel
    assert panel.parameters.inputVolume is shown
    assert panel.ui.inputVolumeSelector.nodeCount() == 2


# Checkpoints


@pytest.mark.parametrize(
    ("modality", "titles"),
    {
        "CT": (
            "Abdominal organs in CT (demonstration)",
            "Eight abdominal organs in CT (Synapse) (not on this computer)",
        ),
        "MR": ("Ventricles and myocardium in cardiac MR (ACDC) (not on this computer)",),
        "Ultrasound": ("Breast lesion in ultrasound (BUSI) (not on this computer)",),
        "Dermoscopy or other color photograph": (
            "Skin lesion in dermoscopy (HAM10000) (not on this computer)",
            "Skin lesion in dermoscopy (PH2) (not on this computer)",
        ),
    }.items(),
)
def test_checkpoints_are_offered_that_suit_the_modality(ui, modality, titles):
    ui.modalityComboBox.currentText = modality
    assert offered(ui) == titles
    assert ui.modelComboBox.currentIndex == 0


def test_a_checkpoint_is_described_with_its_terms_and_what_is_known_against_it(ui, parameters):
    ui.modelComboBox.setCurrentIndex(1)
    assert parameters.modelName == "synapse"
    note = ui.modelNoteLabel.text
    assert note.startswith("Aorta, Gallbladder, Left kidney,")
    assert "License: Code: MIT." in note and "Check it on one CT" in note
    assert note.endswith("Not for clinical use.") and ".." not in note
    assert not ui.removeModelButton.enabled  # there is no file


def test_a_checkpoint_that_was_chosen_stays_when_another_module_was_shown(desktop, module, ui):
    add_ct()
    ui.modelComboBox.setCurrentIndex(1)
    desktop.show("SegmentEditor")
    desktop.show(module)
    assert ui.modelComboBox.currentIndex == 1


# What to segment


def test_the_controls_of_an_extent_are_shown_with_it(ui):
    add_ct()
    slices = (ui.firstSliceSpinBoxLabel, ui.firstSliceSpinBox, ui.lastSliceSpinBox)
    region = (ui.regionSelectorLabel, ui.regionSelector)
    seen = {}
    for index in range(ui.partComboBox.count):
        ui.partComboBox.setCurrentIndex(index)
        kinds = [{one.isVisible() for one in group} for group in (slices, region)]
        seen[ui.partComboBox.currentText] = kinds
    assert seen == {
        "Whole volume": [{False}, {False}],
        "Current slice": [{False}, {False}],
        "Slice range": [{True}, {False}],
        "Region (ROI)": [{False}, {True}],
    }
    assert not ui.allFramesCheckBox.isVisible()


def test_a_slice_range_begins_as_the_whole_volume_and_ends_with_it(ui, segment):
    add_ct()
    ui.partComboBox.currentText = "Slice range"
    assert (ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value) == (0, 11)
    assert ui.firstSliceSpinBox.maximum == 11
    ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value = 8, 5  # the other way round is fine
    assert segment_voxels(segment()) == 4 * BOX
    ui.inputVolumeSelector.setCurrentNode(add_ct("shorter", slices=7))
    assert (ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value) == (6, 5)
    assert segment_voxels(segment()) == BOX


def test_the_current_slice_is_that_of_the_view(slice_view, ui, segment):
    slice_view.SetSliceOffset(6 * 4.0)
    add_ct()
    ui.partComboBox.currentText = "Current slice"
    result = segment()
    assert segment_voxels(result) == BOX
    image = result.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert image.GetExtent()[4:] == (6, 6)


def test_without_a_slice_view_there_is_no_current_slice(desktop, ui, segment):
    add_ct()
    ui.partComboBox.currentText = "Current slice"
    desktop.answer(qt.QMessageBox.Ok)
    segment()
    assert desktop.shown[0].text == (
        "No slice view is shown, so there is no current slice. Choose a layout with slice views, "
        "or another part."
    )


def test_a_new_region_is_around_the_volume_and_limits_what_is_written(ui, parameters, segment):
    add_ct()
    ui.partComboBox.currentText = "Region (ROI)"
    menu = ui.regionSelector.findChild(qt.QComboBox)
    menu.activated(menu.findText("Create new ROI"))
    region = parameters.region
    assert ui.regionSelector.currentNode() is region
    assert region.GetSize() == (16 * 2, 16 * 3, 12 * 4)
    assert segment_voxels(segment()) == 10 * BOX
    region.SetSize(16 * 2, 16 * 3, 4 * 4)
    assert segment_voxels(segment()) == 4 * BOX


def test_all_frames_are_offered_in_a_sequence_only(ui, parameters, segment):
    _, volume = add_volume_sequence([ct_array(), ct_array()], SPACING)
    ui.inputVolumeSelector.setCurrentNode(volume)
    assert ui.allFramesCheckBox.isVisible()
    ui.allFramesCheckBox.checked = True
    result = segment()
    assert slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(result) is not None
    assert "structures" in ui.statusLabel.text
    ui.inputVolumeSelector.setCurrentNode(add_ct("no sequence"))
    assert not ui.allFramesCheckBox.isVisible()
    assert parameters.allFrames  # the choice stays, for the next sequence
    assert segment_voxels(segment()) == 10 * BOX


# Where the result goes


def test_a_volume_does_not_go_into_the_segmentation_of_the_one_before(ui, parameters, segment):
    add_ct()
    parameters.segmentation = first = segment()
    ui.inputVolumeSelector.setCurrentNode(add_ct("on the same voxels"))
    assert ui.segmentationSelector.currentNode() is None
    second = segment()
    assert second is not first and segment_voxels(second) == 10 * BOX
    ui.segmentationSelector.setCurrentNode(first)  # which the user may want
    assert parameters.segmentation is first and segment() is first


def test_nor_once_the_volume_before_is_removed(ui, parameters, segment):
    volume, another = add_ct(), add_ct("another")
    ui.inputVolumeSelector.setCurrentNode(volume)
    parameters.segmentation = segment()
    slicer.mrmlScene.RemoveNode(volume)
    assert parameters.inputVolume is another and parameters.segmentation is None


def test_nor_if_the_volumes_are_changed_while_another_module_is_shown(
    desktop, module, parameters, segment
):
    volume = add_ct()
    parameters.segmentation = segment()
    desktop.show("SegmentEditor")
    slicer.mrmlScene.RemoveNode(volume)
    add_ct("another")
    desktop.show(module)
    assert parameters.inputVolume.GetName() == "another" and parameters.segmentation is None


def test_the_segmentation_stays_chosen_that_is_of_the_volume_or_empty(ui, parameters):
    add_ct()
    another = add_ct("another")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    parameters.segmentation = empty
    ui.inputVolumeSelector.setCurrentNode(another)
    assert parameters.segmentation is empty
    ui.inputVolumeSelector.setCurrentNode(None)
    drawn = {"drawn": np.ones((12, 16, 16), bool)}
    parameters.segmentation = ofAnother = add_segmentation(another, drawn)
    ui.inputVolumeSelector.setCurrentNode(another)
    assert parameters.segmentation is ofAnother


def test_what_is_chosen_under_advanced_reaches_the_worker(ui, worker, segment):
    add_ct()
    ui.advancedSection.collapsed = False
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("cpu"))
    ui.smoothBordersCheckBox.checked = False
    ui.largestComponentCheckBox.checked = True
    ui.batchSizeSpinBox.value = 3
    segment()
    _, model, options = worker.requests[-1]
    assert model.device == "cpu"
    assert (options.borders, options.largest_component, options.batch_size) == (
        "published",
        True,
        3,
    )
    ui.batchSizeSpinBox.value = 0
    segment()
    assert worker.requests[-1][2].batch_size is None
    assert ui.batchSizeSpinBox.text == "Automatic"
