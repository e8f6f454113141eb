"""qMRMLSegmentsTableView: the segments of a segmentation with visibility, colour and name."""

from __future__ import annotations

import slicer
import vtk
from pythonqt import qt
from pythonqt.binding import QtCore, QtGui, QtWidgets
from pythonqt.declared import declare

from slicer_widgets.observers import Observers
from slicer_widgets.scene_widgets import MRMLWidget, require

_HEADINGS = ("", "", "Opacity", "Name", "", "Layer")
_VISIBILITY, _COLOR, _OPACITY, _NAME, _STATUS, _LAYER = range(6)
_COLUMNS = {
    "visibilityColumnVisible": _VISIBILITY,
    "colorColumnVisible": _COLOR,
    "opacityColumnVisible": _OPACITY,
    "statusColumnVisible": _STATUS,
    "layerColumnVisible": _LAYER,
}


class SegmentsTable(MRMLWidget):
    initial = {
        **dict.fromkeys(_COLUMNS, True),
        "layerColumnVisible": False,
        "headerVisible": True,
        "selectionMode": int(QtWidgets.QAbstractItemView.ExtendedSelection),
    }

    def start(self) -> None:
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._observers = Observers(self.widget)
        self._ids: list[str] = []
        self._hidden: tuple[str, ...] = ()
        self._rows: dict[int, tuple] = {}  # what each shows
        self._table = qt.QTableWidget(0, len(_HEADINGS), self.widget)
        self._table.setHorizontalHeaderLabels(_HEADINGS)
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QtWidgets.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_NAME, QtWidgets.QHeaderView.Stretch)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._show_columns()
        self._table.selectionModel().connect(
            "selectionChanged(QItemSelection,QItemSelection)",
            lambda on, off: self.emit("selectionChanged(QItemSelection,QItemSelection)", on, off),
        )
        self._table.connect("cellClicked(int,int)", self._clicked)
        self._table.connect("itemChanged(QTableWidgetItem*)", self._renamed)

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLNode | None) -> None:
        require(node, slicer.vtkMRMLNode, "setSegmentationNode")
        self._observers.remove()
        self._node = node if isinstance(node, slicer.vtkMRMLSegmentationNode) else None
        if self._node is not None:
            # Slicer's table listens to the node, which passes its segmentation's events on.
            for event in (
                vtk.vtkCommand.ModifiedEvent,
                slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
                slicer.vtkSegmentation.SegmentModified,
            ):
                self._observers.add(self._node, event, self._fill)
        self._fill()

    def read_segmentCount(self) -> int:
        return len(self._ids)

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self._ids)

    def hideSegments(self) -> tuple[str, ...]:
        return self._hidden

    def setHideSegments(self, ids: list[str]) -> None:
        self._hidden = tuple(ids)
        self._fill()

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        rows = {index.row() for index in self._table.selectedIndexes()}
        return tuple(self._ids[row] for row in sorted(rows))

    def setSelectedSegmentIDs(self, ids: list[str]) -> None:
        self._table.clearSelection()
        selection = QtCore.QItemSelection()
        for segment_id in ids:
            row = self._ids.index(segment_id)
            index = self._table.model().index(row, _NAME)
            selection.select(index, index)
        flags = QtCore.QItemSelectionModel.Select | QtCore.QItemSelectionModel.Rows
        self._table.selectionModel().select(selection, flags)

    def clearSelection(self) -> None:
        self._table.clearSelection()

    def rowForSegmentID(self, segment_id: str) -> int:
        return self._ids.index(segment_id) if segment_id in self._ids else -1

    def segmentIDForRow(self, row: int) -> str:
        return self._ids[row] if 0 <= row < len(self._ids) else ""

    def tableWidget(self) -> QtWidgets.QTableView:
        return self._table

    def setReadOnly(self, read_only: bool) -> None:
        self.widget.readOnly = read_only

    def changed_readOnly(self, _: bool) -> None:
        self._fill()

    def changed_headerVisible(self, visible: bool) -> None:
        self._table.horizontalHeader().setVisible(visible)

    def setHeaderVisible(self, visible: bool) -> None:
        self.widget.headerVisible = visible

    def changed_visibilityColumnVisible(self, _: bool) -> None:
        self._show_columns()

    changed_colorColumnVisible = changed_opacityColumnVisible = changed_visibilityColumnVisible
    changed_statusColumnVisible = changed_layerColumnVisible = changed_visibilityColumnVisible

    def changed_selectionMode(self, mode: int) -> None:
        self._table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode(mode))

    def setSelectionMode(self, mode: int) -> None:
        self.widget.selectionMode = int(mode)

    def _show_columns(self) -> None:
        for name, column in _COLUMNS.items():
            self._table.setColumnHidden(column, not self.values[name])

    def _fill(self) -> None:
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        ids = segmentation.GetSegmentIDs() if segmentation is not None else ()
        kept = self.selectedSegmentIDs()
        self._ids = [segment_id for segment_id in ids if segment_id not in self._hidden]
        blocker = QtCore.QSignalBlocker(self._table)
        self._table.rowCount = len(self._ids)
        self._rows = {row: shown for row, shown in self._rows.items() if row < len(self._ids)}
        for row, segment_id in enumerate(self._ids):
            self._fill_row(row, segment_id, segmentation.GetSegment(segment_id))
        blocker.unblock()
        kept = [segment_id for segment_id in kept if segment_id in self._ids]
        if list(self.selectedSegmentIDs()) != kept:
            self.setSelectedSegmentIDs(kept)

    def _fill_row(self, row: int, segment_id: str, segment: slicer.vtkSegment) -> None:
        display = self._node.GetDisplayNode()
        visible = "●" if display and self._is_visible(segment_id) else "○"
        opacity = display.GetSegmentOpacity3D(segment_id) if display else 1.0
        color, name = QtGui.QColor.fromRgbF(*segment.GetColor()), segment.GetName()
        content = (segment_id, visible, color.rgba(), opacity, name, self.values.get("readOnly"))
        if self._rows.get(row) == content:
            return  # Slicer's table, in C++, takes no time for this
        self._rows[row] = content
        cells = [QtWidgets.QTableWidgetItem() for _ in _HEADINGS]
        cells[_VISIBILITY].setText(visible)
        cells[_COLOR].setBackground(color)
        cells[_OPACITY].setText(f"{opacity:.2f}")
        cells[_NAME].setText(name)
        for column, cell in enumerate(cells):
            editable = column == _NAME and not self.values.get("readOnly")
            if not editable:
                cell.setFlags(cell.flags() & ~QtCore.Qt.ItemIsEditable)
            self._table.setItem(row, column, cell)

    def _is_visible(self, segment_id: str) -> bool:
        return bool(self._node.GetDisplayNode().GetSegmentVisibility(segment_id))

    def _clicked(self, row: int, column: int) -> None:
        display = self._node.GetDisplayNode()
        if column == _VISIBILITY and display is not None:
            segment_id = self._ids[row]
            display.SetSegmentVisibility(segment_id, not self._is_visible(segment_id))

    def _renamed(self, cell: QtWidgets.QTableWidgetItem) -> None:
        if cell.column() == _NAME:
            segment_id = self._ids[cell.row()]
            self.emit("segmentAboutToBeModified(QString)", segment_id)
            self._node.GetSegmentation().GetSegment(segment_id).SetName(cell.text())


declare("qMRMLSegmentsTableView", SegmentsTable)
