"""Signals as PythonQt connects them, and what becomes of a handler's exception."""

from __future__ import annotations

import functools

import pytest
import slicer
import vtk


@pytest.fixture
def qt(desktop):
    import qt

    return qt


@pytest.fixture
def button(qt):
    button = qt.QPushButton("Apply")
    button.checkable = True
    return button


class Receiver:
    def __init__(self):
        self.calls = []

    def with_value(self, checked=False):
        self.calls.append(checked)

    def without(self):
        self.calls.append("no value")

    def with_all(self, *values):
        self.calls.append(values)


def test_a_method_gets_as_many_arguments_as_it_takes(button):
    receiver = Receiver()
    for method in (receiver.with_value, receiver.without, receiver.with_all):
        assert button.connect("clicked(bool)", method)
    button.click()
    assert receiver.calls == [True, "no value", (True,)]


def test_what_is_no_plain_function_gets_all_arguments(button):
    receiver = Receiver()
    button.connect("clicked(bool)", functools.partial(receiver.with_all, "partial"))
    button.click()
    assert receiver.calls == [("partial", True)]


def test_a_partial_that_takes_no_argument_fails(button, problems):
    button.connect("clicked(bool)", functools.partial(Receiver().without))
    button.click()
    assert isinstance(problems.pop().error, TypeError)


@pytest.mark.parametrize(
    "signature", ["clickd()", "clicked(int)", "clicked", "Clicked()", "clicked(bool"]
)
def test_a_misspelt_signal_is_an_error(button, signature):
    with pytest.raises(ValueError, match="has no signal"):
        button.connect(signature, print)


def test_spaces_and_references_in_a_signature_do_not_matter(qt):
    line, texts = qt.QLineEdit(), []
    line.connect("textChanged( const QString& )", texts.append)
    line.text = "abdomen"
    assert texts == ["abdomen"]


def test_a_signal_that_only_qt_5_has_is_an_error(qt):
    with pytest.raises(ValueError, match="currentIndexChanged"):
        qt.QComboBox().connect("currentIndexChanged(QString)", print)


def test_a_signal_of_slicer_with_another_type_is_an_error(desktop):
    with pytest.raises(ValueError, match="only currentNodeChanged"):
        slicer.qMRMLNodeComboBox().connect("currentNodeChanged(vtkMRMLVolumeNode*)", print)


def test_signals_are_connected_by_attribute_too(button):
    receiver = Receiver()
    button.clicked.connect(receiver.with_value)
    button.click()
    assert receiver.calls == [True]
    button.clicked.disconnect(receiver.with_value)
    button.click()
    assert receiver.calls == [True]


def test_a_signal_of_several_signatures_needs_one_where_it_matters(desktop):
    selector, receiver = slicer.qMRMLNodeComboBox(), Receiver()
    with pytest.raises(TypeError, match="more than one signature"):
        selector.currentNodeChanged.connect(receiver.with_value)
    selector.currentNodeChanged.connect(receiver.without)


def test_a_connection_ends_with_the_same_callable(button):
    receiver = Receiver()
    button.connect("clicked()", receiver.without)
    assert not button.disconnect("clicked()", Receiver().without)
    assert button.disconnect("clicked()", receiver.without)
    assert not button.disconnect("clicked()", receiver.without)
    button.click()
    assert receiver.calls == []


def test_a_slot_of_another_object_is_connected_by_its_name(qt, button):
    label = qt.QLabel()
    button.connect("toggled(bool)", label, "setDisabled(bool)")
    button.click()
    assert not label.enabled
    with pytest.raises(ValueError, match="no slot"):
        button.connect("toggled(bool)", label, "setDisbled(bool)")


def test_calling_a_signal_emits_it(button):
    receiver = Receiver()
    button.connect("clicked(bool)", receiver.with_value)
    button.clicked(True)
    button.clicked.emit(False)
    assert receiver.calls == [True, False]


def test_blocked_signals_reach_nobody(desktop):
    slider = slicer.qMRMLSliderWidget()
    receiver = Receiver()
    slider.connect("valueChanged(double)", receiver.with_value)
    slider.blockSignals(True)
    slider.value = 5
    slider.blockSignals(False)
    slider.value = 6
    assert receiver.calls == [6.0]


def test_an_exception_in_a_handler_is_kept_and_the_next_handler_called(button, problems):
    receiver = Receiver()
    button.connect("clicked(bool)", lambda checked: 1 / 0)
    button.connect("clicked(bool)", receiver.with_value)
    button.click()
    assert receiver.calls == [True]
    (problem,) = problems
    assert problem.where == "clicked(bool)"
    assert isinstance(problem.error, ZeroDivisionError)
    problems.clear()


def test_an_exception_in_a_timer_is_kept(desktop, qt, problems):
    qt.QTimer.singleShot(0, lambda: 1 / 0)
    desktop.wait_until(lambda: problems)
    assert isinstance(problems.pop().error, ZeroDivisionError)


def test_an_exception_in_an_observer_of_the_scene_is_kept(desktop, problems):
    def fail(caller, event):
        raise KeyError("observer")

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, fail)
    node.Modified()
    assert isinstance(problems.pop().error, KeyError)


def test_a_complaint_of_qt_is_kept(desktop, qt, problems):
    qt.QTimer().start(-1)
    assert "negative intervals" in str(problems.pop())


def test_a_timer_repeats_until_it_is_stopped(desktop, qt):
    timer, ticks = qt.QTimer(), []
    timer.setInterval(1)
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    desktop.wait_until(lambda: len(ticks) > 2)
    timer.stop()
    assert not timer.isActive()
    assert timer.active is False


def test_single_shot_is_a_function_and_no_property(qt):
    assert qt.QTimer().isSingleShot() is False
    assert callable(qt.QTimer().singleShot)
