"""CTK's variants of Qt's buttons and combo boxes: more members, otherwise Qt's behaviour."""

from __future__ import annotations

from pythonqt.binding import QtGui, QtWidgets
from pythonqt.declared import Behaviour, declare


class PushButton(Behaviour):
    def start(self, text: str = "") -> None:
        if text:
            self.widget.text = text


class ComboBox(Behaviour):
    """``defaultText`` shows while nothing is selected."""

    def changed_defaultText(self, text: str) -> None:
        QtWidgets.QComboBox.setPlaceholderText(self.widget, text)

    def read_currentUserDataAsString(self) -> str:
        data = QtWidgets.QComboBox.currentData(self.widget)
        return "" if data is None else str(data)

    def write_currentUserDataAsString(self, text: str) -> None:
        texts = [str(self.widget.itemData(row)) for row in range(self.widget.count)]
        self.widget.currentIndex = texts.index(text) if text in texts else -1

    def setCurrentUserDataAsString(self, text: str) -> None:
        self.write_currentUserDataAsString(text)


class ColorPickerButton(Behaviour):
    initial = {"color": QtGui.QColor(), "displayColorName": True}

    def changed_color(self, color: QtGui.QColor) -> None:
        self.emit("colorChanged(QColor)", color)
        self.emit("colorNameChanged(QString)", color.name())

    def setColor(self, color: QtGui.QColor) -> None:
        self.widget.color = color


declare("ctkCheckBox", Behaviour)
declare("ctkPushButton", PushButton)
declare("ctkCheckablePushButton", PushButton)
declare("ctkMenuButton", PushButton)
declare("ctkColorPickerButton", ColorPickerButton)
declare("ctkComboBox", ComboBox)
