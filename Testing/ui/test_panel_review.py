"""What the panel shows of doubtful slices, and the way from one to the next."""

from __future__ import annotations

import pytest
import qt
import slicer
from panels import SLICES
from PySide6 import QtTest
from pythonqt.binding import QtCore, QtGui, QtWidgets
from reviewing import BY_DOUBT, marks_of, viewed
from scripted_host import doubt_of

pytest_plugins = ("reviewing",)


def press(desktop, key, into):
    """Type a key into a widget; shortcuts come first, as with the system's keys."""
    # Without a screen, a window that was hidden once is not activated by asking for it.
    QtWidgets.QApplication.setActiveWindow(desktop.window)
    into.setFocus()
    assert QtWidgets.QApplication.focusWidget() is into
    QtTest.QTest.keyClick(into, key)
    desktop.process_events()


# What there is to see


def test_there_is_nothing_to_review_before_a_segmentation(desktop, panel, ui):
    assert not ui.doubtFrame.isVisible()
    assert ui.sliceNoteLabel.text == "Nothing to review yet."
    for widget in (
        *(ui.reviewedCheckBox, ui.nextDoubtfulButton),
        *(ui.showConfidenceCheckBox, ui.agreementButton),
    ):
        assert not widget.enabled
        assert widget.toolTip == "There is no segmentation to review."


def test_after_a_run_every_slice_has_its_doubt(segment, look_at, ui, view, volume):
    from GDLASegmenterLib.DoubtProfile import readProfile
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    result = segment()
    assert readProfile(result, volumeGrid(volume)).values == {
        n: doubt_of(n, SLICES) for n in range(SLICES)
    }
    assert ui.doubtFrame.isVisible()
    look_at(3)
    assert ui.sliceNoteLabel.text == (
        f"Slice 3: doubt 9.0, rank 3 of {SLICES}. 0 of {SLICES} slices reviewed."
    )


def test_without_confidence_there_is_no_doubt_and_the_panel_says_why(ui, segment, look_at, worker):
    ui.confidenceCheckBox.checked = False
    segment()
    assert worker.requests[0][2].confidence is False
    assert not ui.doubtFrame.isVisible()
    assert not ui.nextDoubtfulButton.enabled
    assert "Confidence and doubtful slices" in ui.nextDoubtfulButton.toolTip
    assert "Confidence and doubtful slices" in ui.showConfidenceCheckBox.toolTip
    look_at(4)
    assert ui.sliceNoteLabel.text == f"Slice 4. 0 of {SLICES} slices reviewed."
    assert ui.reviewedCheckBox.enabled


def test_a_view_beside_the_volume_shows_no_slice(segment, look_at, ui):
    segment()
    look_at(SLICES + 20)
    assert ui.sliceNoteLabel.text == "No slice view shows a slice of CT."
    assert not ui.reviewedCheckBox.enabled and not ui.reviewedCheckBox.checked
    assert ui.reviewedCheckBox.toolTip == "No slice view shows a slice of the volume."


def test_without_slice_views_slices_are_neither_marked_nor_gone_to(segment, panel, ui, view):
    segment()
    view.SetMappedInLayout(False)
    panel.onTick()
    assert not ui.reviewedCheckBox.enabled
    ui.nextDoubtfulButton.click()  # leads nowhere, and does no harm
    panel.onTick()
    assert ui.sliceNoteLabel.text == "No slice view shows a slice of CT."


def test_the_doubt_of_another_run_takes_the_place_of_the_first(segment, panel, ui, volume):
    from GDLASegmenterLib.DoubtProfile import profileNode, storeDoubt
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    panel.parameters.segmentation = result = segment()
    table = profileNode(result)
    storeDoubt(result, volumeGrid(volume), 0, {0: 500.0})
    segment()
    assert profileNode(result) is table
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert table.GetTable().GetValue(0, 1).ToDouble() == doubt_of(0, SLICES)


# The way to the next slice


def test_the_next_slice_is_always_the_most_doubtful_of_those_left(desktop, segment, ui, view):
    segment()
    seen = []
    for _ in range(SLICES + 2):
        desktop.click(ui.nextDoubtfulButton)
        seen.append(viewed(view))
    assert seen == [*BY_DOUBT, *BY_DOUBT[:2]]


def test_a_slice_that_is_viewed_already_is_not_gone_to(desktop, segment, look_at, ui, view):
    segment()
    look_at(BY_DOUBT[0])
    desktop.click(ui.nextDoubtfulButton)
    assert viewed(view) == BY_DOUBT[1]


def test_reviewed_slices_are_passed_over(desktop, segment, panel, look_at, ui, view):
    segment()
    look_at(BY_DOUBT[1])
    desktop.click(ui.reviewedCheckBox)
    seen = []
    for _ in range(SLICES - 1):
        desktop.click(ui.nextDoubtfulButton)
        seen.append(viewed(view))
    assert BY_DOUBT[1] not in seen and len(set(seen)) == SLICES - 1


def test_marking_the_slice_at_hand_does_not_begin_from_the_top(desktop, segment, panel, ui, view):
    segment()
    for rank in range(3):
        desktop.click(ui.nextDoubtfulButton)
        panel.onTick()
        assert viewed(view) == BY_DOUBT[rank]
    desktop.click(ui.reviewedCheckBox)
    panel.onTick()
    desktop.click(ui.nextDoubtfulButton)
    assert viewed(view) == BY_DOUBT[3]


def test_where_all_slices_are_reviewed_there_is_no_next_one(segment, volume, panel, ui):
    result = segment()
    for index in range(SLICES):
        marks_of(result, volume).tick(index)
    panel.onTick()
    assert not ui.nextDoubtfulButton.enabled
    assert ui.nextDoubtfulButton.toolTip == "All slices are reviewed."


def test_a_click_into_the_plot_leads_to_the_slice(desktop, segment, panel, ui, view):
    segment()
    desktop.process_events()
    (plot,) = ui.doubtFrame.findChildren("QWidget")
    for x, index in ((0, 0), (plot.width - 1, SLICES - 1), (plot.width * 7 // 24, 3)):
        place = QtCore.QPointF(x, 40)
        event = QtGui.QMouseEvent(
            QtCore.QEvent.MouseButtonPress,
            place,
            plot.mapToGlobal(place.toPoint()).toPointF(),
            *(QtCore.Qt.LeftButton, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier),
        )
        QtWidgets.QApplication.sendEvent(plot, event)
        assert viewed(view) == index


@pytest.mark.parametrize("slices", [2, 3, 1000])
def test_every_slice_has_its_place_in_the_plot(desktop, tmp_path, slices):
    from GDLASegmenterLib.DoubtPlot import DoubtPlot

    plot = DoubtPlot(lambda index: None)
    plot.resize(300, 84)
    doubt = {index: float(index % 7) for index in range(slices)}
    plot.showDoubt(doubt, slices, frozenset([1]), slices - 1)
    plot.grab()  # drawn; what fails in it is a problem of the desktop
    found = [plot.sliceAt(x) for x in range(-5, 310)]
    assert found[0] == 0 and found[-1] == slices - 1
    assert all(0 <= b - a <= max(1, slices // 100) for a, b in zip(found, found[1:], strict=False))


# The key


def test_n_leads_to_the_next_slice_while_the_panel_is_seen(desktop, segment, ui, view):
    segment()
    press(desktop, QtCore.Qt.Key_N, ui.segmentButton)
    desktop.wait_until(lambda: viewed(view) == BY_DOUBT[0])  # the button goes down and up first


def test_n_is_a_letter_for_who_writes(desktop, segment, ui, view):
    segment()
    field = qt.QLineEdit(ui.reviewSection)
    field.show()
    press(desktop, QtCore.Qt.Key_N, field)
    assert field.text == "n" and not ui.nextDoubtfulButton.isDown()


@pytest.mark.parametrize("left", ["closed", "folded", "nothing to go to"])
def test_n_does_nothing_where_the_button_cannot_be_used(desktop, segment, panel, ui, view, left):
    segment()
    into = ui.segmentButton
    if left == "closed":
        desktop.show("SegmentEditor")
        into = qt.QPushButton(desktop.window)
        into.show()
    elif left == "folded":
        ui.reviewSection.collapsed = True
    else:
        slicer.mrmlScene.RemoveNode(panel.parameters.result)
        panel.onTick()
    press(desktop, QtCore.Qt.Key_N, into)
    assert not ui.nextDoubtfulButton.isDown()
