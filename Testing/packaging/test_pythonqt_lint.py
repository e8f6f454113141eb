"""The module's source holds to what every Slicer's Python has; each rule finds a wrong example."""

from __future__ import annotations

import pytest
from installed import ROOT
from pythonqt_lint import lint, lint_test, widgets_of

MODULE = ROOT / "GDLASegmenter"
FORM = MODULE / "Resources" / "UI" / "GDLASegmenter.ui"
EFFECT = ROOT / "SegmentEditorGDLA"
SOURCES = sorted([*MODULE.rglob("*.py"), *EFFECT.rglob("*.py")])
TESTS = sorted((ROOT / "Testing").rglob("*.py"))


def test_the_source_of_the_modules_is_right_for_slicer():
    widgets = widgets_of(FORM)
    found = {}
    for path in SOURCES:
        is_module_file = path.parent in (MODULE, EFFECT)
        if path.name != "SelfTest.py":
            text = path.read_text("utf-8")
            found[path.name] = lint(text, is_module_file=is_module_file, widgets=widgets)
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_self_test_lets_events_be_processed_and_is_right_otherwise():
    lines = lint((MODULE / "GDLASegmenterLib" / "SelfTest.py").read_text("utf-8"))
    assert [line for line in lines if "processEvents" not in line] == []


def test_no_test_uses_mocks():
    found = {path.name: lint_test(path.read_text("utf-8")) for path in TESTS}
    assert {name: lines for name, lines in found.items() if lines} == {}


WIDGETS = {"runButton": "QPushButton", "volumeBox": "qMRMLNodeComboBox", "list": "QComboBox"}

WRONG = {
    "b.connect('clickd()', f)": "clickd() is no signal of any class",
    "b.connect('currentIndexChanged(QString)', f)": "currentIndexChanged(QString) is no signal",
    "b.connect('buttonClicked(int)', f)": "buttonClicked(int) is no signal",
    "b.disconnect('clickd()')": "clickd() is no signal",
    "self.ui.runButton.connect('currentIndexChanged(int)', f)": "is no signal of QPushButton",
    "ui.volumeBox.connect('currentNodeChanged(vtkMRMLVolumeNode*)', f)": "qMRMLNodeComboBox",
    "slicer.app.connect('startupComplete()', f)": "is no signal of qSlicerApplication",
    "x = box.currentText()": "currentText is a property",
    "x = box.windowTitle()": "windowTitle is a property",
    "x = self._ui.runButton.text()": "text is a property",
    "x = ui.volumeBox.currentNodeID()": "currentNodeID is a property",
    "ui.runButton.enabld = True": "QPushButton has no enabld",
    "ui.volumeBox.nodes()": "qMRMLNodeComboBox has no nodes",
    "ui.list.labelDrawingMode": "QComboBox has no labelDrawingMode",
    "qt.QDesktopWidget()": "QDesktopWidget is gone",
    "qt.QRegExp('a')": "qt.QRegExp is not in Qt 5.15 and Qt 6",
    "ctk.ctkNothing()": "ctk.ctkNothing is not in",
    "slicer.qMRMLNothing()": "slicer.qMRMLNothing is not in",
    "qt.QPushButton(text='Run')": "takes no keyword arguments",
    "x = qt.QMessageBox.StandardButton.Yes": "write QMessageBox.Yes",
    "x = qt.Qt.CursorShape.WaitCursor": "write Qt.WaitCursor",
    "codec = qt.QTextCodec.codecForName('utf-8')": "QTextCodec is gone",
    "layout.setMargin(0)": "setMargin is gone",
    "a = slicer.arrayFromVolume(node)": "slicer.util.arrayFromVolume",
    "from slicer import loadVolume": "slicer.util.loadVolume",
    "_(f'{n} slices')": "literal texts alone",
    "_('%d slices' % n)": "literal texts alone",
    "_(title)": "literal texts alone",
    "_('{n}'.format(n=1))": "literal texts alone",
    "translate('Context', f'{n}')": "literal texts alone",
    "import scipy": "import scipy inside",
    "from onnxruntime import InferenceSession": "import onnxruntime inside",
    "try:\n    import torch\nexcept ImportError:\n    torch = None": "import torch inside",
    "class A:\n    import SimpleITK": "import SimpleITK inside",
    "def onApply(self):\n    slicer.app.processEvents()": "processEvents lets anything happen",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=WRONG)
def test_a_wrong_idiom_is_found(text, message):
    found = lint(text, widgets=WIDGETS)
    assert len(found) >= 1
    assert any(message in line for line in found)


RIGHT = [
    "b.connect('clicked(bool)', f)",
    "b.connect('timeout()', f)",
    "process.connect('finished(int,QProcess::ExitStatus)', f)",
    "ui.volumeBox.connect('currentNodeChanged(vtkMRMLNode*)', f)",
    "ui.volumeBox.currentNodeChanged.connect(f)",
    "slicer.app.connect('startupCompleted()', f)",
    "x = ui.runButton.text",
    "x = ui.runButton.isVisible()",
    "ui.runButton.setVisible(True)",
    "ui.runButton.name",
    "x = item.text()",
    "x = qt.QMessageBox.Yes | qt.QMessageBox.No",
    "x = qt.Qt.WaitCursor",
    "dialog.exec()",
    "dialog.exec_()",
    "a = slicer.util.arrayFromVolume(node)",
    "_('{n} slices').format(n=n)",
    "_('Run' if idle else 'Stop')",
    "_('a long ' 'text')",
    "import json, numpy, vtk, slicer\nfrom GDLACore.worker import WorkerClient",
    "def f():\n    import scipy",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT, ids=RIGHT)
def test_a_right_idiom_is_passed(text):
    assert lint(text, widgets=WIDGETS) == []


@pytest.mark.parametrize("package", ["numpy", "GDLACore", "GDLASegmenterLib"])
def test_the_file_that_slicer_loads_at_its_start_imports_nothing_of_weight(package):
    text = f"import {package}"
    assert lint(text) == []
    assert lint(text, is_module_file=True) == [
        f"1: import {package} inside the functions that need it"
    ]


@pytest.mark.parametrize(
    "text", ["from unittest.mock import MagicMock", "from unittest import mock", "import mock"]
)
def test_a_mock_is_found(text):
    assert len(lint_test(text)) == 1
