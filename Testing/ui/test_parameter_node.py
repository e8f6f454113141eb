"""Parameters: kept in a real node under Slicer's names, shown in widgets, refused as by Slicer."""

from __future__ import annotations

import enum
import pathlib
from typing import Annotated

import ctk
import numpy as np
import pytest
import qt
import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import (
    Choice,
    Default,
    FloatRange,
    Maximum,
    Minimum,
    RangeBounds,
    WithinRange,
    parameterNodeWrapper,
)


class Part(enum.Enum):
    WHOLE = 1
    SLICE = 2

    def label(self) -> str:
        return {Part.WHOLE: "Whole volume", Part.SLICE: "Current slice"}[self]


@parameterNodeWrapper
class Parameters:
    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode | None
    model: str = "demo-ct"
    part: Part = Part.SLICE
    threads: Annotated[int, WithinRange(1, 8)] = 2
    margin: Annotated[float, Minimum(0), Default(1.5)]
    largest: bool = True
    folder: pathlib.Path
    seed: int | None
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"
    span: Annotated[FloatRange, RangeBounds(0, 10), Default(FloatRange(0, 10))]


@pytest.fixture
def node(desktop):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(node):
    return Parameters(node)


@pytest.fixture
def volume(desktop):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")


def connected(parameters, name, widget):
    """Connect one widget, in a form of its own."""
    widget.setProperty("SlicerParameterName", name)
    form = qt.QWidget()
    form.setLayout(qt.QVBoxLayout())
    form.layout().addWidget(widget)
    tag = parameters.connectGui(form)
    return form, tag


def test_parameters_start_with_their_defaults(parameters):
    assert parameters.inputVolume is None
    assert parameters.segmentation is None
    assert parameters.seed is None
    assert (parameters.model, parameters.part) == ("demo-ct", Part.SLICE)
    assert (parameters.threads, parameters.margin, parameters.largest) == (2, 1.5, True)
    assert parameters.folder == pathlib.Path()


def test_values_are_kept_in_the_node_as_slicer_writes_them(parameters, node, volume):
    parameters.inputVolume = volume
    parameters.part, parameters.largest, parameters.seed = Part.WHOLE, False, 7
    assert node.GetNodeReferenceID("inputVolume") == volume.GetID()
    assert node.GetParameter("part") == "WHOLE"
    assert node.GetParameter("largest") == "False"
    assert node.GetParameter("seed.0") == "7"
    again = Parameters(node)
    assert again.inputVolume is volume
    assert (again.part, again.largest, again.seed) == (Part.WHOLE, False, 7)


def test_parameters_survive_saving_and_loading_the_scene(desktop, tmp_path, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "GDLA")
    parameters = Parameters(node)
    parameters.inputVolume, parameters.margin, parameters.seed = volume, 2.25, 3
    parameters.span = FloatRange(2, 4)
    path = tmp_path / "scene.mrml"
    assert slicer.util.saveScene(str(path))
    desktop.close_scene()
    slicer.util.loadScene(str(path))
    loaded = Parameters(slicer.util.getNode("GDLA"))
    assert loaded.inputVolume.GetName() == "CT"
    assert (loaded.margin, loaded.seed, loaded.span) == (2.25, 3, FloatRange(2, 4))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("model", None, ValueError),
        ("model", 5, TypeError),
        ("threads", 9, ValueError),
        ("threads", 2.0, TypeError),
        ("threads", np.int64(2), TypeError),
        ("margin", -1, ValueError),
        ("margin", "1", TypeError),
        ("largest", 1, TypeError),
        ("part", "WHOLE", TypeError),
        ("folder", "/tmp", TypeError),
        ("device", "gpu", ValueError),
        ("seed", "7", TypeError),
        ("inputVolume", "vtkMRMLScalarVolumeNode1", TypeError),
        ("span", FloatRange(-1, 5), ValueError),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(parameters, name, value, error):
    before = parameters.getValue(name)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert parameters.getValue(name) == before


def test_a_node_of_another_class_is_refused(parameters):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(TypeError):
        parameters.inputVolume = other


def test_a_deleted_node_is_no_value_any_more(parameters, volume):
    parameters.inputVolume = volume
    slicer.mrmlScene.RemoveNode(volume)
    parameters.parameterNode.Modified()
    assert parameters.inputVolume is None


def test_a_range_writes_what_changes_in_it(parameters, node):
    parameters.span.maximum = 4
    assert Parameters(node).span == FloatRange(0, 4)
    with pytest.raises(ValueError, match="minimum <= maximum"):
        parameters.span.minimum = 5


@pytest.mark.parametrize("annotation", [complex, set[int]])
def test_a_type_that_slicer_cannot_keep_is_refused_with_the_class(desktop, annotation):
    with pytest.raises(Exception, match="Unable to create serializer for .* member member"):
        parameterNodeWrapper(type("Wrong", (), {"__annotations__": {"member": annotation}}))


def test_a_reserved_name_is_refused(desktop):
    with pytest.raises(ValueError, match="reserved name 'connectGui'"):
        parameterNodeWrapper(type("Wrong", (), {"__annotations__": {"connectGui": int}}))


# Widgets


def test_widget_and_node_follow_each_other(parameters, volume):
    selector = slicer.qMRMLNodeComboBox()
    selector.setMRMLScene(slicer.mrmlScene)
    selector.noneEnabled = True
    form, _ = connected(parameters, "inputVolume", selector)
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    selector.setCurrentNode(volume)
    assert parameters.inputVolume is volume
    parameters.inputVolume = None
    assert selector.currentNode() is None


WIDGETS = [
    ("largest", qt.QCheckBox, "checked", False, False),
    ("largest", qt.QPushButton, "checked", False, False),
    ("threads", qt.QSpinBox, "value", 5, 5),
    ("threads", qt.QSlider, "value", 5, 5),
    ("threads", ctk.ctkSliderWidget, "value", 5.0, 5),
    ("margin", qt.QDoubleSpinBox, "value", 2.5, 2.5),
    ("model", qt.QLineEdit, "text", "demo-mr", "demo-mr"),
    ("device", qt.QComboBox, "currentIndex", 1, "cpu"),
    ("part", qt.QComboBox, "currentIndex", 0, Part.WHOLE),
    ("folder", ctk.ctkPathLineEdit, "currentPath", "/models", pathlib.Path("/models")),
    ("span", ctk.ctkRangeWidget, "maximumValue", 4.0, FloatRange(0, 4)),
]


@pytest.mark.parametrize(("name", "kind", "prop", "shown", "value"), WIDGETS)
def test_each_widget_shows_and_sets_its_parameter(parameters, name, kind, prop, shown, value):
    widget = kind()
    form, _ = connected(parameters, name, widget)
    before, default = getattr(widget, prop), parameters.getValue(name)
    setattr(widget, prop, shown)
    assert parameters.getValue(name) == value
    parameters.setValue(name, default)
    assert getattr(widget, prop) == before


def test_a_combo_box_gets_its_items_from_the_type(parameters):
    box = qt.QComboBox()
    box.addItems(["of the file"])
    form, _ = connected(parameters, "part", box)
    assert [box.itemText(i) for i in range(box.count)] == ["Whole volume", "Current slice"]


def test_limits_come_from_the_type_even_where_it_has_none(node):
    @parameterNodeWrapper
    class Unlimited:
        count: int = 1

    box = qt.QSpinBox()
    box.maximum = 10
    form, _ = connected(Unlimited(node), "count", box)
    assert box.maximum == 2**31 - 1


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("model", qt.QComboBox, "Choice annotation"),
        ("model", qt.QPlainTextEdit, "Unable to create GUI connector"),
        ("model", qt.QCheckBox, "Unable to create GUI connector"),
        ("largest", qt.QGroupBox, "Unable to create GUI connector"),
        ("largest", qt.QRadioButton, "Unable to create GUI connector"),
        ("largest", ctk.ctkCollapsibleButton, "Unable to create GUI connector"),
        ("threads", qt.QLineEdit, "Unable to create GUI connector"),
        ("margin", ctk.ctkSliderWidget, "unbounded"),
        ("seed", qt.QSpinBox, "Unable to create GUI connector"),
    ],
)
def test_a_widget_that_slicer_cannot_connect_is_refused(parameters, name, kind, message):
    with pytest.raises(RuntimeError, match=message):
        connected(parameters, name, kind())


def test_a_range_widget_needs_bounds(node):
    @parameterNodeWrapper
    class Unbounded:
        span: FloatRange

    with pytest.raises(RuntimeError, match="unbounded"):
        connected(Unbounded(node), "span", ctk.ctkRangeWidget())


def test_a_range_widget_needs_a_default_too(node):
    @parameterNodeWrapper
    class WithoutDefault:
        span: Annotated[FloatRange, RangeBounds(0, 10)]

    with pytest.raises(AttributeError):
        connected(WithoutDefault(node), "span", ctk.ctkRangeWidget())


def test_a_misspelt_parameter_name_is_refused(parameters):
    with pytest.raises(ValueError, match="Cannot find a param with the given name: modle"):
        connected(parameters, "modle", qt.QLineEdit())


def test_after_disconnecting_neither_follows_the_other(parameters):
    line = qt.QLineEdit()
    form, tag = connected(parameters, "model", line)
    parameters.disconnectGui(tag)
    line.text = "elsewhere"
    assert parameters.model == "demo-ct"
    parameters.model = "demo-mr"
    assert line.text == "elsewhere"
    parameters.disconnectGui(tag)  # once more does nothing


def test_two_panels_of_one_node_agree(parameters, node):
    first, second = qt.QLineEdit(), qt.QLineEdit()
    both = connected(parameters, "model", first), connected(Parameters(node), "model", second)
    first.text = "demo-us"
    assert second.text == "demo-us"
    assert len(both) == 2


def test_a_value_from_a_widget_that_validation_refuses_is_a_problem(node, problems):
    @parameterNodeWrapper
    class Even:
        count: Annotated[int, Minimum(0), Maximum(9), Choice([0, 2, 4])] = 0

    box, even = qt.QSpinBox(), Even(node)
    form, _ = connected(even, "count", box)
    box.value = 3
    assert isinstance(problems.pop().error, ValueError)
    assert even.count == 0
