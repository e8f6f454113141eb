"""The rows of a node selector, in Slicer's order: None if allowed, the nodes, the actions."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from pythonqt import qt
from pythonqt.binding import QtCore, QtGui

_ID = QtCore.Qt.UserRole
_ACTION = QtCore.Qt.UserRole + 1


class NodeRows:
    """Rows of a real combo box: Qt decides what is current after one came or went."""

    def __init__(self, box: qt.QComboBox) -> None:
        self._box = box
        self._model = qt.QStandardItemModel(box)
        self.first = 0  # the row of the first node
        box.setModel(self._model)

    def clear(self, none: str | None) -> None:
        """Keep nothing but the row for None, if it has a text."""
        self._model.removeRows(0, self._model.rowCount())
        self.first = int(none is not None)
        if none is not None:
            self._model.appendRow(QtGui.QStandardItem(none))

    def ids(self) -> list[str]:
        found = (self.id_at(row) for row in range(self._model.rowCount()))
        return [node_id for node_id in found if node_id]

    def id_at(self, row: int) -> str:
        item = self._model.item(row)
        return (item.data(_ID) or "") if item else ""

    def current_id(self) -> str:
        return self.id_at(self._box.currentIndex)

    def action_at(self, row: int) -> Callable[[], object] | None:
        return self._model.item(row).data(_ACTION)

    def row_of(self, node_id: str) -> int:
        ids = self.ids()
        return self.first + ids.index(node_id) if node_id in ids else -1

    def select(self, node_id: str) -> None:
        row = self.row_of(node_id)
        self._box.currentIndex = row if row >= 0 else self.first - 1

    def is_nothing_selected(self) -> bool:
        return self._box.currentIndex == self.first - 1

    def insert(self, position: int, node: slicer.vtkMRMLNode) -> None:
        item = QtGui.QStandardItem(node.GetName())
        item.setData(node.GetID(), _ID)
        self._model.insertRow(self.first + position, item)

    def remove(self, node_id: str) -> None:
        self._model.removeRow(self.row_of(node_id))

    def rename(self, node: slicer.vtkMRMLNode) -> None:
        item = self._model.item(self.row_of(node.GetID()))
        if item.text() != node.GetName():
            item.setText(node.GetName())

    def append_actions(self, actions: list[tuple[str, Callable[[], object]]]) -> None:
        if actions:
            separator = QtGui.QStandardItem()
            separator.setData("separator", QtCore.Qt.AccessibleDescriptionRole)
            separator.setFlags(QtCore.Qt.NoItemFlags)
            self._model.appendRow(separator)
        for text, action in actions:
            item = QtGui.QStandardItem(text)
            item.setFlags(QtCore.Qt.ItemIsEnabled)
            item.setData(action, _ACTION)
            self._model.appendRow(item)
