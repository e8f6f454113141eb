"""Dialogs, which a test answers; settings and files, which Slicer gives back as texts."""

from __future__ import annotations

import pytest
import slicer.util


@pytest.fixture
def qt(desktop):
    import qt

    return qt


def test_an_error_is_shown_with_its_title_and_details(desktop, qt):
    desktop.answer(qt.QMessageBox.Ok)
    slicer.util.errorDisplay("No volume is selected.", windowTitle="GDLA", detailedText="line 5")
    (shown,) = desktop.shown
    assert (shown.kind, shown.title) == ("ctkMessageBox", "GDLA")
    assert (shown.text, shown.details) == ("No volume is selected.", "line 5")


@pytest.mark.parametrize("agrees", [True, False])
def test_a_question_gets_the_answer_of_the_test(desktop, qt, agrees):
    desktop.answer(qt.QMessageBox.Ok if agrees else qt.QMessageBox.Cancel)
    assert slicer.util.confirmOkCancelDisplay("Install onnxruntime?") is agrees
    desktop.answer(qt.QMessageBox.Yes if agrees else qt.QMessageBox.No)
    assert slicer.util.confirmYesNoDisplay("Remove the model?") is agrees


def test_an_unexpected_dialog_is_a_problem_and_does_not_stop_the_test(desktop, problems):
    slicer.util.warningDisplay("The volume has one slice.")
    problem = problems.pop()
    assert problem.where == "unexpected dialog"
    assert "The volume has one slice." in problem.error


def test_an_answer_that_leaves_the_dialog_open_is_a_problem(desktop, problems):
    desktop.answer(lambda dialog: None)
    slicer.util.infoDisplay("Done.")
    assert problems.pop().where == "unanswered dialog"


def test_a_button_that_the_dialog_has_not_is_a_problem(desktop, qt, problems):
    desktop.answer(qt.QMessageBox.Yes)
    slicer.util.infoDisplay("Done.")
    assert [problem.where for problem in problems][1] == "unanswered dialog"
    assert "has no button" in str(problems[0])
    problems.clear()


def test_a_dialog_of_ones_own_is_answered_through_its_widgets(desktop, qt):
    dialog = qt.QDialog()
    dialog.windowTitle = "Install"
    button = qt.QPushButton("Install", dialog)
    button.connect("clicked()", dialog.accept)
    desktop.answer(lambda shown: button.click())
    assert dialog.exec_() == qt.QDialog.Accepted
    assert desktop.shown[0].title == "Install"


def test_timers_go_on_while_a_dialog_is_open(desktop, qt):
    ticks, timer = [], qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start(1)

    def wait_and_close(dialog):
        desktop.wait_until(lambda: ticks)
        dialog.button(qt.QMessageBox.Ok).click()

    desktop.answer(wait_and_close)
    slicer.util.infoDisplay("Done.")
    timer.stop()
    assert ticks


def test_a_dialog_that_is_not_to_come_again_does_not(desktop, qt):
    def never_again(box):
        box.dontShowAgain = True
        box.button(qt.QMessageBox.Ok).click()

    desktop.answer(never_again)
    for _ in range(2):
        slicer.util.infoDisplay("Not for clinical use.", dontShowAgainSettingsKey="GDLA/Notice")
    assert len(desktop.shown) == 1


def test_in_slicers_testing_mode_messages_are_only_logged(desktop, caplog):
    from pythonqt.declared import behaviour_of

    behaviour = behaviour_of(desktop.application)
    behaviour.is_testing = True
    try:
        slicer.util.errorDisplay("No volume is selected.")
    finally:
        behaviour.is_testing = False
    assert "No volume is selected." in caplog.text
    assert desktop.shown == []


def test_an_exception_under_an_error_display_is_shown_and_goes_on(desktop, qt):
    desktop.answer(qt.QMessageBox.Ok)
    with pytest.raises(ValueError, match="no slices"):
        with slicer.util.tryWithErrorDisplay("Segmentation failed.", waitCursor=True):
            raise ValueError("no slices")
    assert desktop.shown[0].text == "Segmentation failed.\n\nno slices"
    assert qt.QApplication.overrideCursor() is None


def test_a_file_dialog_returns_the_path_alone(desktop, qt):
    desktop.answer("/models/a.onnx", ("/models/b.onnx", "/models/c.onnx"), "", "/models")
    ask = qt.QFileDialog
    assert ask.getOpenFileName(None, "Import a model", "", "*.onnx") == "/models/a.onnx"
    assert ask.getOpenFileNames(None, "Import") == ("/models/b.onnx", "/models/c.onnx")
    assert ask.getSaveFileName(None, "Save the log") == ""
    assert ask.getExistingDirectory(None, "Folder of wheels") == "/models"
    assert [shown.title for shown in desktop.shown][0] == "Import a model"


def test_nothing_is_opened_outside(desktop, qt):
    assert qt.QDesktopServices.openUrl(qt.QUrl("https://www.slicer.org"))
    assert desktop.opened == ["https://www.slicer.org"]


def test_settings_come_back_as_texts(qt):
    settings = qt.QSettings()
    settings.setValue("GDLA/prefetch", True)
    settings.setValue("GDLA/threads", 4)
    settings.setValue("GDLA/folders", ["/a", "/b"])
    assert qt.QSettings().value("GDLA/prefetch") == "true"
    assert qt.QSettings().value("GDLA/threads") == "4"
    assert qt.QSettings().value("GDLA/folders") == ("/a", "/b")
    assert qt.QSettings().value("GDLA/unknown") is None
    read = slicer.util.settingsValue("GDLA/prefetch", False, converter=slicer.util.toBool)
    assert read is True


def test_settings_of_one_test_are_unknown_to_the_next(qt):
    assert qt.QSettings().allKeys() == ()


def test_the_clipboard_takes_texts(desktop, qt):
    qt.QApplication.clipboard().setText("diagnostics")
    assert qt.QApplication.clipboard().text() == "diagnostics"
