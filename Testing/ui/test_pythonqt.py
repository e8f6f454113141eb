"""The rules of PythonQt: each wrong idiom fails here that would fail, or hide, in Slicer."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def qt(desktop):
    import qt

    return qt


@pytest.fixture
def button(qt):
    return qt.QPushButton("Apply")


def test_a_property_is_a_value(button):
    assert button.text == "Apply"
    button.text, button.enabled = "Cancel", False
    assert (button.text, button.enabled) == ("Cancel", False)


def test_the_getter_of_a_property_cannot_be_called(button):
    with pytest.raises(TypeError, match="not callable"):
        button.text()


@pytest.mark.parametrize("idiom", ["isVisible", "isEnabled", "isChecked", "isDown"])
def test_getters_with_a_name_of_their_own_are_methods(button, idiom):
    assert getattr(button, idiom)() in (True, False)


def test_setters_of_qt_are_methods(button):
    button.setText("Segment")
    assert button.text == "Segment"


def test_an_unknown_name_is_neither_read_nor_written(button):
    with pytest.raises(AttributeError, match="QPushButton has no attribute named 'enabld'"):
        button.enabld  # noqa: B018
    with pytest.raises(AttributeError, match="creating new attributes on C"):
        button.enabld = True


def test_a_method_or_a_signal_is_not_overwritten(button):
    for name in ("setText", "clicked"):
        with pytest.raises(AttributeError, match="can not be overwritten"):
            setattr(button, name, print)


def test_a_read_only_property_is_not_written(qt):
    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 3


@pytest.mark.parametrize(
    ("prop", "value"),
    [
        ("text", 5),
        ("text", None),
        ("text", Path("folder")),
        ("enabled", None),
        ("enabled", 1),
        ("autoRepeatDelay", "5"),
        ("autoRepeatDelay", 2.5),
        ("autoRepeatDelay", np.int64(5)),
        ("autoRepeatDelay", True),
    ],
)
def test_a_property_takes_values_of_its_type_alone(button, prop, value):
    with pytest.raises(AttributeError, match=f"Property '{prop}' of type .* does not accept"):
        setattr(button, prop, value)


def test_a_number_with_decimals_takes_pythons_and_numpys_doubles(qt):
    box = qt.QDoubleSpinBox()
    box.value = 2
    box.value = np.float64(2.5)
    assert box.value == 2.5
    with pytest.raises(AttributeError):
        box.value = np.float32(3)


def test_a_list_of_texts_goes_in_as_a_list_and_comes_back_as_a_tuple(desktop):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    with pytest.raises(AttributeError):
        selector.nodeTypes = "vtkMRMLScalarVolumeNode"


def test_name_is_the_object_name(button):
    button.name = "applyButton"
    assert button.objectName == "applyButton"


def test_dynamic_properties_are_read_like_others_once_they_are_set(button):
    button.setProperty("SlicerParameterName", "modality")
    assert button.property("SlicerParameterName") == "modality"
    assert button.SlicerParameterName == "modality"
    assert button.property("unknown") is None


def test_a_child_is_found_under_its_name(qt):
    parent = qt.QWidget()
    child = qt.QLabel("inside", parent)
    child.objectName = "resultLabel"
    assert parent.resultLabel.text == "inside"
    assert parent.findChild(qt.QLabel, "resultLabel") is child
    assert parent.findChildren("QLabel") == (child,)


def test_there_are_no_keyword_arguments(qt, button):
    with pytest.raises(TypeError, match="no keyword arguments"):
        qt.QPushButton(text="Apply")
    with pytest.raises(TypeError):
        button.setText(text="Apply")


def test_enumerations_have_short_names_that_are_numbers(qt):
    assert qt.QMessageBox.Yes == 0x4000
    assert qt.QMessageBox.Yes | qt.QMessageBox.No == 0x14000
    assert qt.Qt.WaitCursor == 3


def test_enumerations_have_no_scoped_names(qt):
    for scoped in (lambda: qt.QMessageBox.StandardButton.Yes, lambda: qt.Qt.CursorShape.WaitCursor):
        with pytest.raises(AttributeError, match="no scoped names"):
            scoped()


@pytest.mark.parametrize(
    "name", ["QDesktopWidget", "QRegExp", "QTextCodec", "QSignalMapper", "Signal", "Slot"]
)
def test_what_only_one_qt_or_only_pyside_has_is_not_there(qt, name):
    with pytest.raises(AttributeError):
        getattr(qt, name)


def test_members_that_only_one_qt_has_are_not_there(qt):
    box = qt.QComboBox()
    with pytest.raises(AttributeError):
        box.labelDrawingMode  # noqa: B018  Qt 6
    with pytest.raises(AttributeError):
        box.autoCompletion  # noqa: B018  Qt 5


def test_plain_getters_of_slicers_widgets_are_not_there(desktop):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    for name in ("nodes", "sceneModel", "comboBox", "setNodeTypes", "setNoneEnabled"):
        with pytest.raises(AttributeError, match=f"no attribute named '{name}'"):
            getattr(selector, name)


def test_a_method_without_behaviour_says_so(desktop):
    import slicer

    with pytest.raises(NotImplementedError, match="exists in Slicer"):
        slicer.qMRMLSegmentsTableView().jumpSlices()


def test_objects_that_qt_made_follow_the_rules_as_well(qt):
    box = qt.QDialogButtonBox(qt.QDialogButtonBox.Ok)
    made = box.button(qt.QDialogButtonBox.Ok)
    assert made.text
    with pytest.raises(TypeError):
        made.text()


def test_isinstance_knows_the_very_class_alone(qt, button):
    assert isinstance(button, qt.QPushButton)
    assert not isinstance(button, qt.QWidget)
    assert button.inherits("QWidget")
    assert button.className() == "QPushButton"


def test_a_class_derived_in_python_may_have_attributes_and_override_methods(qt):
    class Card(qt.QFrame):
        def sizeHint(self):
            return qt.QSize(321, 5)

    card = Card()
    card.model = "demo-ct"
    card.toolTip = "A model"
    assert (card.model, card.toolTip) == ("demo-ct", "A model")
    assert card.sizeHint().width() == 321


@pytest.mark.skipif("GDLA_SLICER_PYTHON" in os.environ, reason="Slicer's own does not look")
def test_texts_of_the_translator_must_be_literal(desktop, problems):
    from slicer.i18n import tr as _

    assert _("Apply") == "Apply"
    assert problems == []
    name = "liver"
    assert _(f"Segment {name}").endswith(name)
    assert "is no literal" in str(problems.pop())
