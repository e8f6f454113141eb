"""The module's self-test, as Slicer runs it: it passes, leaves nothing, and can fail."""

from __future__ import annotations

import ast
import sys
import unittest
from pathlib import Path

import pytest
import slicer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(desktop):
    return desktop.load(ROOT / "GDLASegmenter" / "GDLASegmenter.py")


@pytest.fixture
def run(module):
    """Run the test case as ``slicer.testing.runUnitTest`` does, and return unittest's result."""

    def run() -> unittest.TestResult:
        case = sys.modules["GDLASegmenter"].GDLASegmenterTest
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        assert result.testsRun == 1
        return result

    return run


def node_ids() -> list[str]:
    scene = slicer.mrmlScene
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def failures(result: unittest.TestResult) -> str:
    return "".join(text for _, text in [*result.failures, *result.errors])


def test_it_passes_and_leaves_the_scene_as_it_was(run):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "somebody's")
    before = node_ids()
    result = run()
    assert result.wasSuccessful() and not result.skipped, failures(result)
    assert node_ids() == before
    assert slicer.mrmlScene.IsNodePresent(volume)
    assert list(Path(slicer.app.temporaryPath).glob("GDLA-session-*")) == []


def test_it_needs_no_main_window_and_no_panel(run, monkeypatch):
    monkeypatch.setattr(slicer.util, "mainWindow", lambda *arguments, **options: None)
    # Whoever opened the panel would fail.
    monkeypatch.setattr(sys.modules["GDLASegmenter"], "GDLASegmenterWidget", None)
    result = run()
    assert result.wasSuccessful() and not result.skipped, failures(result)


def test_the_button_for_developers_runs_it_too(module):
    before = node_ids()
    slicer.selfTests["GDLASegmenter"]()
    assert node_ids() == before


@pytest.fixture
def output(module):
    """The class that writes into the scene."""
    from GDLASegmenterLib.SegmentationOutput import SegmentationOutput

    return SegmentationOutput


def test_it_fails_if_the_result_lies_on_the_wrong_side(run, output, monkeypatch):
    write = output.write

    def write_mirrored(self, labels, axis, indices):
        yield from write(self, labels[:, :, ::-1], axis, indices)

    monkeypatch.setattr(output, "write", write_mirrored)
    before = node_ids()
    assert "the liver is not where it belongs" in failures(run())
    assert node_ids() == before, "a test that fails tidies up, too"


def test_it_fails_if_slices_outside_the_range_are_written(run, output, monkeypatch):
    write = output.write

    def write_one_more(self, labels, axis, indices):
        labels = labels.copy()
        labels[0, 200:210, 200:210] = 1
        self._room = self.grid.extent
        yield from write(self, labels, axis, (0, *indices))
        self.written.discard(0)  # nobody knows of it

    monkeypatch.setattr(output, "write", write_one_more)
    assert "is outside the range" in failures(run())


def test_it_fails_if_a_run_cannot_be_undone(run, output, monkeypatch):
    begin = output.open

    def begin_without_saving(self, axis, slices, save):
        yield from begin(self, axis, slices, lambda node: None)

    monkeypatch.setattr(output, "open", begin_without_saving)
    assert "there is nothing to undo" in failures(run())


def test_without_onnx_runtime_it_is_skipped_and_says_what_to_do(run, monkeypatch):
    from GDLASegmenterLib import SelfTest

    monkeypatch.setattr(SelfTest, "installed_builds", list)
    result = run()
    ((_, reason),) = result.skipped
    assert reason.startswith("ONNX Runtime is not installed: segment once in the module")


def test_nothing_but_slicer_and_the_backend_is_imported_by_it():
    """In Slicer there is no pytest, and no helper of these tests."""
    path = ROOT / "GDLASegmenter" / "GDLASegmenterLib" / "SelfTest.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    roots = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert roots == {"numpy", "slicer", "vtk", "GDLACore", "GDLASegmenterLib"}
