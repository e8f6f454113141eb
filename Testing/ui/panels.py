"""What the tests of the panel share: the module, volumes, and a worker that does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import slicer
from nodes import add_volume
from slicer_host import application

if TYPE_CHECKING:  # for tests of other things do not need it, and it takes its time
    from scripted_host import ScriptedHost

MODULE = Path(__file__).resolve().parents[2] / "GDLASegmenter" / "GDLASegmenter.py"
SLICES = 12
SPACING = np.diag([2.0, 3.0, 4.0, 1.0])


@pytest.fixture
def module(desktop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, loaded but not shown, with a user's folder of its own.

    There is ONNX Runtime among Slicer's packages, which needs not be looked for in every test.
    """
    settings = tmp_path / "NA-MIC" / "Slicer.ini"
    monkeypatch.setattr(application._headless[0], "slicerUserSettingsFilePath", str(settings))
    monkeypatch.delenv("GDLA_MODEL_DIR", raising=False)
    module = desktop.load(MODULE)
    from GDLACore.installation import InstalledBuild
    from GDLASegmenterLib import EnvironmentPart

    found = (InstalledBuild("onnxruntime", "1.30.0", True),)
    monkeypatch.setattr(EnvironmentPart, "installed_builds", lambda: found)
    return module


@pytest.fixture
def scripted(module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ScriptedHost]]:
    """The scripted workers of the panels to come, in order.

    At each tick the panels do at once what a busy machine leaves for later ones.
    """
    from scripted_host import ScriptedHost

    from GDLASegmenterLib import Activities, Panel, ReviewPart, SegmentationLogic

    ScriptedHost.instances.clear()
    monkeypatch.setattr(Panel, "WorkerHost", ScriptedHost)
    monkeypatch.setattr(Panel, "_TICK_MS", 2)
    for part in Activities, ReviewPart, SegmentationLogic:
        monkeypatch.setattr(part, "_BUDGET_S", 60)
    yield ScriptedHost.instances
    ScriptedHost.instances.clear()


@pytest.fixture
def worker(widget: Any, scripted: list[ScriptedHost]) -> ScriptedHost:
    """The scripted worker of ``widget``."""
    return scripted[0]


@pytest.fixture
def widget(desktop: Any, module: Any, scripted: list[ScriptedHost]) -> Any:
    """The module's panel, shown, with a scripted worker."""
    return desktop.show(module)


def add_ct(name: str = "CT", slices: int = SLICES) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a CT of some slices with a bright box in all of them but the first and the last."""
    return add_volume(ct_array(slices), SPACING, name)


def add_slice_view(name: str = "Red") -> slicer.vtkMRMLSliceNode:
    """Add a slice view that shows axial slices; its node outlives the scene if not removed."""
    scene = slicer.mrmlScene
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")
    node.UnRegister(None)
    node.SetLayoutName(name)
    node = scene.AddNode(node)
    node.SetMappedInLayout(True)
    node.SetOrientationToAxial()
    return node


def ct_array(slices: int = SLICES) -> np.ndarray:
    array = np.full((slices, 16, 16), -1000, np.int16)
    array[1:-1, 4:12, 4:12] = 60
    return array


def state_of(widget: Any) -> str:
    return widget.panel.controller.state.value


def segment_voxels(node: slicer.vtkMRMLSegmentationNode, index: int = 0) -> int:
    """Return how many voxels the segment has."""
    segment = node.GetSegmentation().GetNthSegment(index)
    image = segment.GetRepresentation("Binary labelmap")
    if 0 in image.GetDimensions() or image.GetExtent()[1] < image.GetExtent()[0]:
        return 0
    from vtk.util.numpy_support import vtk_to_numpy

    return int(
        np.count_nonzero(vtk_to_numpy(image.GetPointData().GetScalars()) == segment.GetLabelValue())
    )
