"""What goes wrong in Slicer's code or in a test's scene makes the test, and so the run, fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_BAD = """
import slicer

def test_that_is_wrong():
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1

def test_that_is_right():
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")

def test_with_an_error_in_cpp_code():
    slicer.modules.terminologies.logic().LoadTerminologyFromFile("/no/such/file")

def test_that_leaves_rendering_paused():
    slicer.app.pauseRender()

def test_that_leaves_a_node_that_closing_does_not_remove():
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("left")
    slicer.mrmlScene.AddNode(node)
"""


def test_a_run_with_bad_tests_fails_and_one_with_good_tests_passes(tmp_path):
    here = Path(__file__).parent
    shutil.copy(here / "conftest.py", tmp_path)
    (tmp_path / "test_bad.py").write_text(_BAD)
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    root = here.parents[1]
    found_in = (here, here.parent / "core", root / "GDLASegmenter", root)
    path = os.pathsep.join(map(str, found_in))
    where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": path}}
    bad = subprocess.run(pytest_, **where, capture_output=True, text=True, timeout=300)
    assert bad.returncode == 1, bad.stdout
    assert re.search(r"1 failed, 4 passed, (\d) error", bad.stdout)[1] == "3", bad.stdout
    good = [*pytest_, "-k", "right"]
    assert subprocess.run(good, **where, capture_output=True, timeout=300).returncode == 0
