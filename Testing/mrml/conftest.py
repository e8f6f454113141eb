"""What the tests on Slicer's scene share: the application, and an empty scene for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slicer
import slicer_application
from vtk_messages import collect_messages

# Its volumes, labels and cards serve here too.
sys.path.append(str(Path(__file__).parent.parent / "core"))
sys.path.append(str(Path(__file__).parents[2] / "GDLASegmenter"))

_messages = collect_messages()
slicer_application.start()

# Fixtures, and only now: what they are made of wants the application.
from confidences import segmentation, volume  # noqa: E402, F401
from edited_run import bench, editor, node, volume_node  # noqa: E402, F401


@pytest.fixture(autouse=True)
def vtk_messages() -> Iterator[list[str]]:
    """Errors and warnings of VTK and Slicer: they fail a test that does not clear them itself."""
    _messages.clear()
    yield _messages
    assert _messages == []


@pytest.fixture(autouse=True)
def scene(vtk_messages: list[str]) -> Iterator[slicer.vtkMRMLScene]:
    """Slicer's scene, empty but for what Slicer itself puts there."""
    scene = slicer.mrmlScene
    scene.Clear(0)  # of what a fixture for a whole file may have left
    nodes_of_slicer = scene.GetNumberOfNodes()
    yield scene
    pauses, slicer.app.renderPauses = slicer.app.renderPauses, 0
    scene.Clear(0)
    assert pauses == 0, "rendering was paused and not resumed"
    assert scene.GetNumberOfNodes() == nodes_of_slicer, "closing the scene leaves something in it"
