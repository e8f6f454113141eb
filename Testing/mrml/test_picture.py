"""The picture for the documentation is made by one command, from a DICOM folder to Slicer's views.

It goes the whole way: Slicer's reader, the worker process with the demonstration model, the
segmentation node, slices and surfaces.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from slicer_views import can_draw

from GDLACore.model.catalogue import find

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not can_draw() and "CI" not in os.environ, reason="drawing needs EGL or OSMesa"
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path_factory.mktemp("pictures") / "views.png"
    command = [sys.executable, str(ROOT / "Testing/bench/views.py"), "-o", str(path)]
    subprocess.run(command, check=True, timeout=300)
    return np.asarray(image.open(path)).astype(int)


def _hues(colors: np.ndarray) -> np.ndarray:
    """Return colors [..., 3] without their brightness."""
    return colors / np.maximum(colors.sum(axis=-1, keepdims=True), 1)


@pytest.mark.parametrize("name", ["Liver", "Spleen"])
@pytest.mark.parametrize("view", ["slice", "surfaces"])
def test_the_organs_are_seen_in_the_cards_colors(picture, view, name):
    (label,) = (one for one in find("demo-ct").card.labels if one.name == name)
    # Slices blend half of the color with grey; surfaces are lit, but keep the hue.
    part = picture[30:640, :750] if view == "slice" else picture[30:380, 780:]
    color = np.add(label.color, 128) // 2 if view == "slice" else np.array(label.color)
    near = np.abs(_hues(part) - _hues(color)).max(axis=-1) < 0.02
    assert np.count_nonzero(near & (part.sum(axis=-1) > 150)) > 2000


def test_the_patients_liver_is_on_the_left_of_the_axial_slice(picture):
    (label,) = (one for one in find("demo-ct").card.labels if one.name == "Liver")
    part = picture[30:640, :750]
    near = np.abs(_hues(part) - _hues(np.add(label.color, 128) // 2)).max(axis=-1) < 0.02
    assert np.nonzero(near)[1].mean() < 375
