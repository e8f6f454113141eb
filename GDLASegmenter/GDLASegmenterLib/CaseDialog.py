"""What a user is asked before a case is added to his training set."""

from __future__ import annotations

from collections.abc import Sequence

import ctk
import qt
import slicer.util
from slicer.i18n import tr as _


class CaseDialog:
    """Asks for a folder and, of ``answers``, for one: nothing is chosen for the user.

    ``text`` says what will be done, ``folder`` is what is in the folder's line at first.
    """

    def __init__(self, text: str, folder: str, answers: Sequence[str]) -> None:
        self._dialog = qt.QDialog(slicer.util.mainWindow())
        self._dialog.windowTitle = _("Add to training set")
        label = qt.QLabel(text)
        label.wordWrap = True
        self._folder = ctk.ctkPathLineEdit()
        self._folder.filters = ctk.ctkPathLineEdit.Dirs
        self._folder.currentPath = folder
        self._folder.toolTip = _("The folder of your training set. Each case gets its own in it.")
        self._folder.connect("currentPathChanged(QString)", self._update)
        self._buttons = [qt.QRadioButton(answer) for answer in answers]
        buttonBox = qt.QDialogButtonBox()
        buttonBox.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
        buttonBox.connect("accepted()", self._dialog.accept)
        buttonBox.connect("rejected()", self._dialog.reject)
        self._ok = buttonBox.button(qt.QDialogButtonBox.Ok)
        layout = qt.QVBoxLayout(self._dialog)
        layout.addWidget(label)
        layout.addWidget(qt.QLabel(_("Folder:")))
        layout.addWidget(self._folder)
        layout.addWidget(qt.QLabel(_("Which slices have you checked? Only these will teach.")))
        for button in self._buttons:
            button.toolTip = _("Slices that nobody has checked would teach the model its mistakes.")
            button.connect("toggled(bool)", self._update)
            layout.addWidget(button)
        layout.addWidget(buttonBox)
        self._update()

    def ask(self) -> tuple[str, int] | None:
        """Return the folder and the index of the answer, None if the user does not want to say."""
        accepted = self._dialog.exec_() == qt.QDialog.Accepted
        answer = self._folder.currentPath.strip(), self._chosen()
        self._dialog.deleteLater()
        return answer if accepted else None

    def _update(self, changed: object = None) -> None:
        self._ok.enabled = bool(self._folder.currentPath.strip()) and self._chosen() >= 0

    def _chosen(self) -> int:
        chosen = [index for index, button in enumerate(self._buttons) if button.checked]
        return chosen[0] if chosen else -1
