"""ctkMessageBox: a message box that may be told not to come again."""

from __future__ import annotations

from pythonqt.binding import QtCore, QtWidgets
from pythonqt.declared import Behaviour, declare
from pythonqt.dialogs import execute

_NO_BUTTON = int(QtWidgets.QMessageBox.InvalidRole)


class MessageBox(Behaviour):
    initial = {"dontShowAgainVisible": False}

    def changed_dontShowAgainSettingsKey(self, key: str) -> None:
        self.values["dontShowAgain"] = self._remembered() != _NO_BUTTON
        self.values["dontShowAgainVisible"] = bool(key)

    def setDontShowAgain(self, dont_show: bool) -> None:
        self.widget.dontShowAgain = dont_show

    def exec(self) -> int:
        """Answer at once what the user once answered for all times, or ask."""
        if self.values.get("dontShowAgain"):
            button = self._remembered()
            return int(QtWidgets.QMessageBox.Ok) if button == _NO_BUTTON else button
        button = execute(self.widget)
        clicked = QtWidgets.QMessageBox.clickedButton(self.widget)
        role = QtWidgets.QMessageBox.buttonRole(self.widget, clicked)
        key = self.values.get("dontShowAgainSettingsKey")
        if key and role == QtWidgets.QMessageBox.AcceptRole:
            kept = button if self.values.get("dontShowAgain") else _NO_BUTTON
            QtCore.QSettings().setValue(key, kept)
        return button

    def _remembered(self) -> int:
        key = self.values.get("dontShowAgainSettingsKey", "")
        return int(QtCore.QSettings().value(key, _NO_BUTTON)) if key else _NO_BUTTON


declare("ctkMessageBox", MessageBox)
