"""ctkCollapsibleButton: a header that shows and hides what is below it."""

from __future__ import annotations

from pythonqt.binding import QObject, QtCore, QtGui, QtWidgets
from pythonqt.declared import Behaviour, declare

_HEADER = 24  # pixels
_WISH = "visibilityToParent"  # CTK's name for whether the module wants to see a child
_EXPLICIT = QtCore.Qt.WA_WState_ExplicitShowHide


class CollapsibleButton(Behaviour):
    """Checked means open. What a module hides or shows inside holds once the button is open."""

    virtuals = ("paintEvent", "hitButton", "showEvent", "childEvent", "eventFilter")

    def start(self, text: str = "") -> None:
        widget = self.widget
        widget.checkable = widget.checked = True
        widget.setContentsMargins(0, _HEADER, 0, 0)
        widget.setBackgroundRole(QtGui.QPalette.Window)
        widget.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        if text:
            widget.text = text
        self._is_collapsed = self._is_forcing = False
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
        for child in QObject.children(self.widget):
            if isinstance(child, QtWidgets.QWidget):
                self._show_child(child)

    def _show_child(self, child: QtWidgets.QWidget) -> None:
        hidden = QObject.property(child, _WISH) is False
        self._is_forcing = True
        QtWidgets.QWidget.setVisible(child, not self._is_collapsed and not hidden)
        self._is_forcing = False
        if not hidden:
            # So that it does not count as the module's own wish.
            QtWidgets.QWidget.setAttribute(child, _EXPLICIT, False)

    # C++ methods

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.added() and isinstance(event.child(), QtWidgets.QWidget):
            child = event.child()
            if QtWidgets.QWidget.isHidden(child) and child.testAttribute(_EXPLICIT):
                QObject.setProperty(child, _WISH, False)
            child.installEventFilter(self.widget)

    def eventFilter(self, child: QObject, event: QtCore.QEvent) -> bool:
        shows = event.type() == QtCore.QEvent.ShowToParent
        if (shows or event.type() == QtCore.QEvent.HideToParent) and not self._is_forcing:
            QObject.setProperty(child, _WISH, shows)
            if shows and self._is_collapsed and self.widget.isVisible():
                self._show_child(child)
        return False

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
