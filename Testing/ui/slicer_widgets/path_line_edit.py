"""ctkPathLineEdit and ctkDirectoryButton: a path, typed or chosen in a file dialog."""

from __future__ import annotations

from typing import Any

from pythonqt import qt
from pythonqt.binding import QtCore
from pythonqt.declared import Behaviour, declare

_FILES, _WRITABLE, _ALL = 0x002, 0x020, 0x007


class PathLineEdit(Behaviour):
    initial = {"filters": _ALL, "showBrowseButton": True, "showHistoryButton": True}

    def start(self, label: str = "", filters: tuple[str, ...] = (), kinds: int = _ALL) -> None:
        self.values |= {"label": label, "nameFilters": tuple(filters), "filters": kinds}
        self._line = qt.QLineEdit(self.widget)
        self._button = qt.QToolButton(self.widget)
        self._button.setText("…")
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line, 1)
        layout.addWidget(self._button)
        self.widget.setFocusProxy(self._line)
        self._line.connect(
            "textChanged(QString)", lambda text: self.emit("currentPathChanged(QString)", text)
        )
        self._button.connect("clicked()", self.browse)

    def read_currentPath(self) -> str:
        return self._line.text

    def write_currentPath(self, path: str) -> None:
        self._line.setText(path)

    def setCurrentPath(self, path: str) -> None:
        self.widget.currentPath = path

    def changed_showBrowseButton(self, visible: bool) -> None:
        self._button.setVisible(visible)

    def browse(self) -> None:
        filters = ";;".join(self.values["nameFilters"])
        arguments: tuple[Any, ...] = (self.widget, "Select a directory...", self._line.text)
        ask = qt.QFileDialog.getExistingDirectory
        if self.values["filters"] & _FILES:
            saving = self.values["filters"] & _WRITABLE
            title = "Select a file to save" if saving else "Open a file"
            ask = qt.QFileDialog.getSaveFileName if saving else qt.QFileDialog.getOpenFileName
            arguments = (self.widget, title, self._line.text, filters)
        path = ask(*arguments)
        if path:
            self.widget.currentPath = path

    def retrieveHistory(self) -> None:
        history = self._history()
        if history and not self._line.text:
            self._line.setText(history[0])

    def addCurrentPathToHistory(self) -> None:
        path = self._line.text
        if path:
            others = [other for other in self._history() if other != path]
            QtCore.QSettings().setValue(self._key(), [path, *others])

    def _key(self) -> str:
        key = self.values.get("settingKey") or self.widget.objectName
        return f"ctkPathLineEdit/{key}"

    def _history(self) -> list[str]:
        kept = QtCore.QSettings().value(self._key(), [])
        return [kept] if isinstance(kept, str) else list(kept)


class DirectoryButton(Behaviour):
    """``directorySelected`` comes with every setting, ``directoryChanged`` with another one."""

    initial = {"directory": "."}

    def start(self) -> None:
        self._button = qt.QPushButton(".", self.widget)
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._button.connect("clicked()", self.browse)

    def write_directory(self, directory: str) -> None:
        path = QtCore.QDir(directory).absolutePath()
        changed = QtCore.QDir(directory) != QtCore.QDir(self.values["directory"])
        if changed:
            self.values["directory"] = self._button.text = path
        self.emit("directorySelected(QString)", path)
        if changed:
            self.emit("directoryChanged(QString)", path)

    def browse(self) -> None:
        title = self.values.get("caption") or "Select directory"
        start = self.values["directory"]
        directory = qt.QFileDialog.getExistingDirectory(self.widget, title, start)
        if directory:
            self.widget.directory = directory


declare("ctkPathLineEdit", PathLineEdit)
declare("ctkDirectoryButton", DirectoryButton)
