"""The module as Slicer loads it, opens it, and keeps its choices in scenes."""

from __future__ import annotations

import ast
import builtins
import xml.etree.ElementTree as ET

import pytest
import slicer
from nodes import add_roi
from panels import MODULE, add_ct, state_of
from slicer_host import application

UI = MODULE.parent / "Resources" / "UI" / "GDLASegmenter.ui"
# What a user may set or press; a label tells the same as its widget.
CONTROLS = (
    "QCheckBox",
    "QComboBox",
    "QLineEdit",
    "QPlainTextEdit",
    "QPushButton",
    "QSpinBox",
    "qMRMLNodeComboBox",
    "qMRMLSegmentationShow3DButton",
    "qMRMLSegmentsTableView",
)


@pytest.fixture
def imported(monkeypatch):
    """The names of what is imported from now on, whether or not it was there before."""
    names = set()
    original = builtins.__import__

    def note(name, *arguments, **options):
        names.add(name.partition(".")[0])
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", note)
    return names


@pytest.fixture
def old_slicer(module, monkeypatch):
    monkeypatch.setattr(application._headless[0], "minorVersion", 10)


def drawn(widget):
    """Return the texts of the labels in a panel."""
    return [label.text for label in slicer.util.findChildren(widget.parent, className="QLabel")]


# Loading and opening


def test_nothing_is_imported_before_the_module_is_opened(desktop, imported):
    desktop.load(MODULE)
    assert imported & {"GDLACore", "GDLASegmenterLib", "numpy", "scipy", "onnxruntime"} == set()


def test_older_slicers_are_told_what_is_needed_and_nothing_else_happens(
    desktop, module, old_slicer, imported
):
    widget = desktop.show(module)
    (text,) = drawn(widget)
    assert text.startswith("GDLA Segmenter needs 3D Slicer 5.12 or newer; this is ")
    assert "https://download.slicer.org" in text
    desktop.show("SegmentEditor")
    desktop.show(module)
    desktop.close_scene()
    desktop.quit()
    assert not {"GDLACore", "GDLASegmenterLib"} & imported


@pytest.mark.parametrize("name", ["GDLASegmenter.py", "GDLASegmenterLib/SampleCT.py"])
def test_what_every_slicer_loads_is_understood_by_an_old_python(name):
    ast.parse((MODULE.parent / name).read_text(encoding="utf-8"), feature_version=(3, 9))


def test_the_panel_needs_no_main_window(desktop, module, scripted, monkeypatch):
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    assert slicer.app.layoutManager() is None
    panel = desktop.second_panel(module).panel
    add_ct()
    panel.onSegment()
    while panel.controller.isBusy:
        panel.onTick()
    panel.onTick()
    panel.result.onVolumes()
    assert panel.parameters.result is not None


def test_the_widget_can_be_made_without_a_parent(desktop, module, scripted):
    import GDLASegmenter

    widget = GDLASegmenter.GDLASegmenterWidget()
    add_ct()
    assert widget.panel.ui.segmentButton.enabled
    desktop.close_scene()
    widget.cleanup()
    widget.parent.hide()


def test_opening_the_module_warms_the_worker_up(worker, widget, desktop, module):
    (loaded,) = worker.loaded
    assert loaded.model.endswith("demo-ct.safetensors") and loaded.device == "auto"
    desktop.show("SegmentEditor")
    desktop.show(module)
    assert len(worker.loaded) == 2  # the worker may have ended itself meanwhile


def test_opening_the_module_does_not_disturb_a_run(worker, widget, desktop, module):
    add_ct()
    worker.hold()
    desktop.click(widget.panel.ui.segmentButton)
    desktop.show("SegmentEditor")
    desktop.show(module)
    assert len(worker.loaded) == 1
    worker.go_on()
    desktop.wait_until(lambda: state_of(widget) == "done")


# What the panel consists of


def controls():
    return [
        (one.get("name"), one)
        for one in ET.parse(UI).iter("widget")
        if one.get("class") in CONTROLS
    ]


def test_every_control_has_a_tooltip_and_so_has_its_label(worker, widget):
    ui = widget.panel.ui
    for name, _ in controls():
        assert len(getattr(ui, name).toolTip) > 10, name
        label = getattr(ui, f"{name}Label", None)
        assert label is None or label.toolTip == getattr(ui, name).toolTip, name


def test_the_keyboard_goes_from_top_to_bottom_and_leaves_nothing_out():
    stops = [stop.text for stop in ET.parse(UI).iter("tabstop")]
    assert stops == [name for name, _ in controls()]


def test_every_widget_that_is_bound_has_a_parameter_and_the_other_way_round(worker, widget):
    bound = {
        one.find("string").text
        for one in ET.parse(UI).iter("property")
        if one.get("name") == "SlicerParameterName"
    }
    parameters = set(widget.panel.parameters.allParameters)
    assert parameters - bound == {"modelName", "modalityKnownOf", "result"}
    assert bound <= parameters


# What scenes keep


CHOICES = {
    "modelName": "synapse",
    "firstSlice": 3,
    "lastSlice": 8,
    "allFrames": True,
    "smoothBorders": False,
    "largestComponent": True,
    "batchSize": 4,
}


@pytest.fixture
def choose(desktop, worker, widget):
    """Choose something else than the default everywhere."""

    def choose():
        from GDLASegmenterLib.Parameters import SegmentedPart

        parameters = widget.panel.parameters
        add_ct("first")
        parameters.inputVolume = add_ct("second")
        for name, value in CHOICES.items():
            setattr(parameters, name, value)
        parameters.part = SegmentedPart.SLICE_RANGE
        parameters.region = add_roi((1, 2, 3), (4, 5, 6))
        scene = slicer.mrmlScene
        parameters.segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "corrected")
        return parameters

    return choose


def check(parameters):
    assert {name: getattr(parameters, name) for name in CHOICES} == CHOICES
    assert parameters.part.name == "SLICE_RANGE"
    names = (parameters.inputVolume, parameters.region, parameters.segmentation)
    assert [node.GetName() for node in names] == ["second", "MarkupsROI", "corrected"]


@pytest.mark.parametrize("extension", ["mrb", "mrml"])
@pytest.mark.parametrize("is_open", [True, False])
def test_the_choices_are_saved_with_the_scene(
    desktop, module, widget, choose, tmp_path, extension, is_open
):
    choose().region.SetName("MarkupsROI")
    path = str(tmp_path / f"scene.{extension}")
    assert slicer.util.saveScene(path)
    if not is_open:
        desktop.show("SegmentEditor")
    desktop.close_scene()
    slicer.util.loadScene(path)
    desktop.show(module)
    check(widget.panel.parameters)
    ui = widget.panel.ui
    assert (ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value) == (3, 8)
    assert ui.modelComboBox.currentIndex == 1 and ui.batchSizeSpinBox.value == 4
    assert ui.inputVolumeSelector.currentNode().GetName() == "second"


def test_a_modality_that_the_user_chose_is_not_guessed_again_when_the_scene_is_loaded(
    desktop, module, widget, worker, tmp_path
):
    add_ct()
    widget.panel.ui.modalityComboBox.currentText = "MR"
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    desktop.close_scene()
    slicer.util.loadScene(path)
    assert widget.panel.ui.modalityComboBox.currentText == "MR"


def test_a_scene_of_an_older_version_has_the_defaults_for_what_it_lacks(
    desktop, module, widget, choose, tmp_path
):
    parameters = choose()
    node = parameters.parameterNode
    desktop.show("SegmentEditor")
    for name in ("batchSize", "part", "modalityKnownOf", "allFrames"):
        node.UnsetParameter(name)
    node.SetParameter("precision", "fast")  # which no version has any more
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    desktop.close_scene()
    slicer.util.loadScene(path)
    desktop.show(module)
    parameters = widget.panel.parameters
    assert (parameters.batchSize, parameters.part.name, parameters.allFrames) == (
        0,
        "WHOLE_VOLUME",
        False,
    )
    assert parameters.modelName == "synapse" and parameters.inputVolume.GetName() == "second"


def test_a_scene_without_the_module_shows_a_fresh_panel(desktop, module, widget, choose, tmp_path):
    choose()
    desktop.close_scene()
    parameters = widget.panel.parameters
    assert (parameters.batchSize, parameters.modelName) == (0, "demo-ct")
    assert parameters.inputVolume is None and parameters.segmentation is None
