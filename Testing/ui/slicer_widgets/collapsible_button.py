"""ctkCollapsibleButton: a header that shows and hides what is below it."""

from __future__ import annotations

from pythonqt.binding import QObject, QtCore, QtGui, QtWidgets
from pythonqt.declared import Behaviour, declare

_HEADER = 24  # pixels


class CollapsibleButton(Behaviour):
    """Checked means open. Contents are hidden only while the whole is shown, as CTK does it."""

    virtuals = ("paintEvent", "hitButton", "showEvent")

    def start(self, text: str = "") -> None:
        widget = self.widget
        widget.checkable = widget.checked = True
        widget.setContentsMargins(0, _HEADER, 0, 0)
        widget.setBackgroundRole(QtGui.QPalette.Window)
        widget.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        if text:
            widget.text = text
        self._is_collapsed = False
        self._maximum_height = widget.maximumHeight
        widget.connect("toggled(bool)", lambda checked: self._collapse(not checked))

    def read_collapsed(self) -> bool:
        return self._is_collapsed

    def write_collapsed(self, collapsed: bool) -> None:
        self.widget.checked = not collapsed

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._is_collapsed:
            return
        self._is_collapsed = collapsed
        if collapsed:
            self._maximum_height = self.widget.maximumHeight
        self.widget.maximumHeight = _HEADER if collapsed else self._maximum_height
        if self.widget.isVisible():
            self._show_contents()
        self.widget.updateGeometry()
        self.emit("contentsCollapsed(bool)", collapsed)

    def _show_contents(self) -> None:
        explicit = QtCore.Qt.WA_WState_ExplicitShowHide
        for child in QObject.children(self.widget):
            if isinstance(child, QtWidgets.QWidget):
                hidden_by_module = (
                    QtWidgets.QWidget.isHidden(child)
                    and QtWidgets.QWidget.testAttribute(child, explicit)
                    and child not in self._hidden_by_us
                )
                if hidden_by_module:
                    continue
                QtWidgets.QWidget.setVisible(child, not self._is_collapsed)
                QtWidgets.QWidget.setAttribute(child, explicit, False)
        self._hidden_by_us = QObject.children(self.widget) if self._is_collapsed else []

    _hidden_by_us: list[QObject] = []

    # C++ methods

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        QtWidgets.QAbstractButton.showEvent(self.widget, event)
        if self._is_collapsed:
            self._show_contents()

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < _HEADER

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self.widget)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self.widget)
        option.rect = QtCore.QRect(0, 0, self.widget.width, _HEADER)
        style = QtWidgets.QStyle
        painter.drawPrimitive(style.PrimitiveElement.PE_PanelButtonCommand, option)
        arrow = style.PrimitiveElement
        option.rect = QtCore.QRect(6, 6, _HEADER - 12, _HEADER - 12)
        painter.drawPrimitive(
            arrow.PE_IndicatorArrowRight if self._is_collapsed else arrow.PE_IndicatorArrowDown,
            option,
        )
        text = QtCore.QRect(_HEADER, 0, self.widget.width - _HEADER, _HEADER)
        painter.drawText(text, int(QtCore.Qt.AlignVCenter), self.widget.text)


declare("ctkCollapsibleButton", CollapsibleButton)
