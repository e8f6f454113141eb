"""Slicer's main window, as far as a module meets it: the module selector and the module panel."""

from __future__ import annotations

import slicer
from pythonqt.binding import QObject, QtWidgets
from pythonqt.declared import Behaviour, behaviour_of, declare


class ModuleSelector(Behaviour):
    def start(self) -> None:
        self._current = ""

    def read_selectedModule(self) -> str:
        return self._current

    def write_selectedModule(self, name: str) -> None:
        self.selectModule(name)

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown, and enter this one. Slicer ignores an unknown name."""
        module = slicer.app.moduleManager().module(name) if name else None
        if name and module is None:
            raise ValueError(f"there is no module {name}")
        if name == self._current:
            return
        window = behaviour_of(QtWidgets.QWidget.window(self.widget))
        window.show_module(module)
        self._current = name
        self.emit("moduleSelected(QString)", name)


class MainWindow(Behaviour):
    def start(self) -> None:
        self.widget.objectName = "qSlicerMainWindow"
        self.widget.windowTitle = "3D Slicer (stand-in)"
        self._selector = Selector(self.widget)
        QtWidgets.QMainWindow.addToolBar(self.widget, self._selector)
        self._area = QtWidgets.QScrollArea(self.widget)
        self._area.setWidgetResizable(True)
        self._contents = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(self._contents)
        self._area.setWidget(self._contents)
        QtWidgets.QMainWindow.setCentralWidget(self.widget, self._area)
        self._panel: QObject | None = None

    def moduleSelector(self) -> QObject:
        return self._selector

    def show_module(self, module: QObject | None) -> None:
        layout = self._contents.layout()
        if self._panel is not None:
            self._panel.exit()
            layout.removeWidget(self._panel)
            self._panel.setVisible(False)
            self._panel.setParent(None)
        self._panel = module.widgetRepresentation() if module is not None else None
        if self._panel is not None:
            self._panel.layout().setContentsMargins(0, 0, 0, 0)
            layout.addWidget(self._panel)
            self._panel.setVisible(True)
            self._panel.enter()


Selector = declare("qSlicerModuleSelectorToolBar", ModuleSelector)
Window = declare("qSlicerMainWindow", MainWindow)
