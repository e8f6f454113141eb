"""What tests of previewed slices begin with: a volume whose values are its labels, and its viewer.

Imported by their own names, so that no argument of a test hides an import.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
from nodes import add_volume
from previewing import Viewer
from segmenting import Bench

LABELS = np.random.default_rng(5).integers(0, 4, (12, 7, 8)).astype(np.int16)


@pytest.fixture(name="bench")
def preview_bench(scene: slicer.vtkMRMLScene) -> Iterator[Bench]:
    bench = Bench(scene)
    yield bench
    bench.logic.cleanup()


@pytest.fixture(name="viewer")
def preview_viewer(bench: Bench) -> Viewer:
    return Viewer(bench)


@pytest.fixture(name="volume")
def labelled_volume() -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(LABELS)
