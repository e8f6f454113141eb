"""What the panel does with a result: volumes, corrections, and what a report of trouble needs."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from nodes import (
    add_grid_transform,
    add_linear_transform,
    add_segmentation,
    add_volume,
    put_into_study,
    separate_layers,
)
from panels import SPACING, add_ct

VOXEL_ML = 2 * 3 * 4 / 1000


@pytest.fixture
def panel(worker, widget):
    return widget.panel


@pytest.fixture
def masks():
    whole, part = np.zeros((2, 12, 16, 16), bool)
    whole[2:5, 3:9, 4:14] = True
    part[4:9, 8:12, 2:6] = True  # overlaps the first
    return {"liver": whole, "lesion": part, "nothing": np.zeros_like(part)}


@pytest.fixture
def segmentation(panel, masks):
    return add_segmentation(add_ct(), masks)


@pytest.fixture
def volumes(desktop, panel, segmentation):
    """Press Volumes, and return what the new table says."""

    def volumes():
        panel.parameters.segmentation = segmentation
        panel.onTick()
        desktop.click(panel.ui.volumesButton)
        tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
        table = tables[-1].GetTable()
        rows = range(table.GetNumberOfRows())
        assert [table.GetColumnName(column) for column in range(2)] == ["Segment", "Volume [mL]"]
        return {
            table.GetValue(row, 0).ToString(): table.GetValue(row, 1).ToDouble() for row in rows
        }

    return volumes


def expected(masks, scale=1.0):
    return {
        name: pytest.approx(np.count_nonzero(mask) * VOXEL_ML * scale, abs=5e-4)
        for name, mask in masks.items()
    }


# Volumes


def test_volumes_are_in_millilitres_for_shared_and_for_separate_layers(
    volumes, masks, segmentation
):
    assert volumes() == expected(masks)
    separate_layers(segmentation)
    assert volumes() == expected(masks)


def test_a_transform_that_scales_counts(volumes, masks, segmentation):
    outer = add_linear_transform(np.diag([1.0, 1.0, 0.5, 1.0]))
    inner = add_linear_transform(np.diag([-2.0, 3.0, 1.0, 1.0]))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    segmentation.SetAndObserveTransformNodeID(inner.GetID())
    assert volumes() == expected(masks, 3.0)


def test_the_table_is_beside_its_segmentation_and_shown(volumes, segmentation):
    folder = put_into_study(segmentation)
    volumes()
    volumes()
    first, second = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert (first.GetName(), second.GetName()) == ("manual volumes", "manual volumes_1")
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert tree.GetItemParent(tree.GetItemByDataNode(second)) == folder
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActiveTableID() == second.GetID()


def test_a_table_needs_a_layout_with_a_table(volumes, monkeypatch):
    class LayoutManager:
        __slots__ = ("layout",)

        def setLayout(self, layout):
            self.layout = layout

    manager = LayoutManager()
    conventional = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    manager.layout = conventional
    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda app: manager)
    volumes()
    with_table = slicer.modules.tables.logic().GetLayoutWithTable(conventional)
    assert manager.layout == with_table != conventional


@pytest.mark.parametrize("what", ["surfaces", "bent"])
def test_what_cannot_be_measured_is_said(desktop, panel, segmentation, what):
    if what == "surfaces":
        segmentation.CreateClosedSurfaceRepresentation()
        segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
        segmentation.RemoveBinaryLabelmapRepresentation()
    else:
        segmentation.SetAndObserveTransformNodeID(add_grid_transform().GetID())
    panel.parameters.segmentation = segmentation
    panel.onTick()
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.volumesButton)
    beginning = {
        "surfaces": "manual has no voxels to count.",
        "bent": "manual is under a transform that bends it.",
    }
    assert desktop.shown[0].text.startswith(beginning[what])
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []


# Correcting


def test_a_segmentation_without_a_volume_of_its_own_is_edited_over_the_chosen_one(
    desktop, panel, segmentation
):
    segmentation.SetNodeReferenceID(segmentation.GetReferenceImageGeometryReferenceRole(), None)
    chosen = add_volume(np.zeros((12, 16, 16), np.int16), SPACING, "chosen")
    panel.parameters.inputVolume = chosen
    panel.parameters.segmentation = segmentation
    panel.onTick()
    desktop.click(panel.ui.editButton)
    editor = slicer.modules.SegmentEditorWidget.editor
    assert editor.segmentationNode() is segmentation and editor.sourceVolumeNode() is chosen


def test_without_a_segmentation_there_is_nothing_to_edit(panel):
    add_ct()
    panel.onTick()
    ui = panel.ui
    assert not (ui.editButton.enabled or ui.volumesButton.enabled or ui.show3DButton.enabled)
    assert not ui.addCaseButton.enabled


# A report


@pytest.fixture
def report(desktop, panel, worker):
    """Press Copy diagnostics, with these lines in the worker's log; return the clipboard."""

    def report(*lines):
        worker.lines = "\n".join(lines) + "\n"
        panel.ui.advancedSection.collapsed = False
        desktop.process_events()
        desktop.click(panel.ui.diagnosticsButton)
        return slicer.app.clipboard().text()

    return report


def test_diagnostics_tell_versions_runtime_and_device(panel, report):
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("cpu"))
    lines = report("first", "second").splitlines()
    assert [line.partition(" ")[0] for line in lines[:6]] == [
        "GDLASegmenter",
        "3D",
        lines[2].split()[0],
        "Python",
        "ONNX",
        "Device:",
    ]
    assert lines[5:] == ["Device: cpu", "Log:", "first", "second"]


def test_diagnostics_tell_the_device_that_was_used(desktop, panel, report):
    add_ct()
    desktop.click(panel.ui.segmentButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
    assert "Device: scripted\n" in report()


def test_diagnostics_hold_no_paths_of_the_user_and_no_names(report):
    add_ct("Miller^Ann CT")
    core = __import__("GDLACore").__path__[0]
    text = report(
        "Traceback (most recent call last):",
        f'  File "{core}/pipeline.py", line 7, in segment',
        '  File "/home/ann miller/site.py", line 1, in <module>',
        r"reading C:\Users\Miller\scan.nrrd failed",
        "ValueError: Miller^Ann CT has no voxels",
    )
    assert '  File "<GDLACore>/pipeline.py", line 7, in segment' in text
    assert "ValueError: <node> has no voxels" in text
    assert "iller" not in text and "/home" not in text and str(core) not in text


def test_diagnostics_keep_the_end_of_a_long_log(report):
    lines = report(*(f"line {number}" for number in range(500))).splitlines()
    assert lines[-1] == "line 499" and len(lines) < 100
