"""What the tests of the panel share: the module, volumes, and a worker that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from nodes import add_volume
from scripted_worker import ScriptedWorker
from slicer_host import application

from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find
from GDLACore.worker import Event, ModelRequest

MODULE = Path(__file__).resolve().parents[2] / "GDLASegmenter" / "GDLASegmenter.py"
SLICES = 12
SPACING = np.diag([2.0, 3.0, 4.0, 1.0])


class ScriptedHost(ScriptedWorker):
    """In the place of ``WorkerHost``: what is bright is the model's first structure.

    One slice is finished at each poll, unless ``hold()`` was called: then only as many steps are
    done as ``let()`` allows. It can be used again after ``close()``, as the real one.
    """

    instances: list[ScriptedHost] = []

    def __init__(self, packages: Callable[[], Path | None]) -> None:
        super().__init__(_bright, find("demo-ct").card, batch=1)
        self.loaded: list[ModelRequest] = []
        self.lines = ""
        self._allowed: int | None = None
        ScriptedHost.instances.append(self)

    def hold(self) -> None:
        self._allowed = 0

    def let(self, steps: int) -> None:
        self._allowed = (self._allowed or 0) + steps

    def go_on(self) -> None:
        self._allowed = None

    @property
    def steps_left(self) -> int | None:
        return self._allowed

    def load(self, model: ModelRequest) -> None:
        super().load(model)
        self.loaded.append(model)

    def log(self) -> str:
        return self.lines

    def poll(self) -> list[Event]:
        if self._allowed is not None:
            if self._allowed == 0:
                return []
            self._allowed -= 1
        return super().poll()

    def close(self) -> None:
        super().close()
        self._closed = False


def _bright(volume: Volume) -> np.ndarray:
    return (np.asarray(volume.array) > 0).astype(np.uint8)


@pytest.fixture
def module(desktop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, loaded but not shown, with a user's folder of its own."""
    settings = tmp_path / "NA-MIC" / "Slicer.ini"
    monkeypatch.setattr(application._headless[0], "slicerUserSettingsFilePath", str(settings))
    monkeypatch.delenv("GDLA_MODEL_DIR", raising=False)
    return desktop.load(MODULE)


@pytest.fixture
def scripted(module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ScriptedHost]]:
    """The scripted workers of the panels to come, in order."""
    from GDLASegmenterLib import Panel

    ScriptedHost.instances.clear()
    monkeypatch.setattr(Panel, "WorkerHost", ScriptedHost)
    monkeypatch.setattr(Panel, "_TICK_MS", 2)
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
