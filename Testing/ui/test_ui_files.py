"""Qt Designer files: loaded as they are, and refused where Slicer would quietly do otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer.util

TOY = Path(__file__).parent / "data" / "Toy" / "Resources" / "UI" / "Toy.ui"


@pytest.fixture
def load(desktop, tmp_path):
    """Load the toy's file with one text replaced."""

    def load(old="", new=""):
        text = TOY.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "Changed.ui"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return slicer.util.loadUI(str(path))

    return load


def test_widgets_are_found_by_their_names_with_their_properties(load):
    form = load()
    ui = slicer.util.childWidgetVariables(form)
    assert form.className() == "qMRMLWidget"
    assert ui.applyButton.text == "Apply"
    assert ui.inputSelector.noneEnabled is True
    assert ui.inputSelector.addEnabled is False
    assert ui.inputSelector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert ui.inputSelector.property("SlicerParameterName") == "inputVolume"
    assert ui.thresholdSlider.suffix == " HU"
    assert ui.inputsButton.collapsed is False
    assert slicer.util.findChild(form, "smoothBox").text == "Smooth"


def test_a_buddy_gets_the_focus_of_its_label(load):
    ui = slicer.util.childWidgetVariables(load())
    assert ui.inputLabel.buddy() is ui.inputSelector


def test_the_scene_reaches_the_widgets_through_the_files_connections(load):
    form = load()
    ui = slicer.util.childWidgetVariables(form)
    assert not ui.inputSelector.enabled
    form.setMRMLScene(slicer.mrmlScene)
    assert ui.inputSelector.mrmlScene() is slicer.mrmlScene
    assert ui.inputSelector.enabled


def test_widgets_live_as_long_as_the_form(load):
    import gc

    form = load()
    gc.collect()
    assert slicer.util.childWidgetVariables(form).smoothBox.text == "Smooth"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name="noneEnabled"', 'name="nonEnabled"', "qMRMLNodeComboBox inputSelector has no prop"),
        ('<property name="text">', '<property name="txt">', "has no property txt"),
        ('class="QPushButton"', 'class="QPushBotton"', "applyButton is a QPushBotton"),
        ('class="QPushButton"', 'class="qMRMLTreeView"', "applyButton is a qMRMLTreeView"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)", "has no signal"),
        ("setMRMLScene(vtkMRMLScene*)</slot>", "setScene(vtkMRMLScene*)</slot>", "has no slot"),
        ("<receiver>inputSelector", "<receiver>inputSelectr", "no widget is called so"),
        ("<extends>QWidget</extends>\n   <header>ctkS",
         "<extends>QSlider</extends>\n   <header>ctkS",
         "ctkSliderWidget extends QWidget, not QSlider"),
        ('<layout class="QVBoxLayout" name="verticalLayout">',
         '<layout class="QVBoxLayout" name="verticalLayout"><property name="margin">'
         "<number>0</number></property>",
         "layout verticalLayout has no property margin"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused(load, old, new, message):
    with pytest.raises(RuntimeError, match=message.replace("(", "\\(")):
        load(old, new)


def test_a_value_of_the_wrong_type_is_refused(load):
    with pytest.raises(AttributeError, match="noneEnabled"):
        load(
            '<property name="noneEnabled">\n         <bool>true</bool>',
            '<property name="noneEnabled">\n         <string>true</string>',
        )


def test_enumerations_of_ctk_are_read_by_name(desktop, tmp_path):
    import ctk

    path = tmp_path / "Path.ui"
    path.write_text(
        '<ui version="4.0"><class>Form</class><widget class="ctkPathLineEdit" name="Form">'
        '<property name="filters"><set>ctkPathLineEdit::Files|ctkPathLineEdit::Writable</set>'
        "</property></widget><customwidgets><customwidget><class>ctkPathLineEdit</class>"
        "<extends>QWidget</extends></customwidget></customwidgets></ui>",
        encoding="utf-8",
    )
    edit = slicer.util.loadUI(str(path))
    assert edit.filters == ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Writable


def test_a_missing_file_is_slicers_own_error(desktop):
    with pytest.raises(RuntimeError, match="file not found"):
        slicer.util.loadUI("nowhere.ui")
