"""A question with several answers, one of which the user picks from a list."""

from __future__ import annotations

from collections.abc import Sequence

import qt
import slicer.util


def chosenFromList(title: str, question: str, answers: Sequence[str]) -> int | None:
    """Ask the user; return the index of the answer, None if he does not want to say.

    QInputDialog would do, but in Slicer's Python its answer does not tell OK from Cancel.
    """
    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.windowTitle = title
    label = qt.QLabel(question)
    label.wordWrap = True
    comboBox = qt.QComboBox()
    comboBox.addItems(answers)
    comboBox.toolTip = question
    buttons = qt.QDialogButtonBox()
    buttons.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    layout = qt.QVBoxLayout(dialog)
    for widget in (label, comboBox, buttons):
        layout.addWidget(widget)
    accepted = dialog.exec_() == qt.QDialog.Accepted
    index = comboBox.currentIndex
    dialog.deleteLater()
    return index if accepted else None
