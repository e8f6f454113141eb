"""What Slicer's views show of a segmentation is in the right place and in its color."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
import slicer
from anatomy import CENTER
from nodes import add_linear_transform, add_segmentation, add_volume, show_surfaces
from slicer_views import SliceView, ThreeDView, can_draw
from storage import ijk_to_ras, shape
from world import scan

# Where tests must be complete, a missing library is a failure.
pytestmark = pytest.mark.skipif(
    not can_draw() and "CI" not in os.environ,
    reason="drawing needs EGL or OSMesa (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri)",
)

COLORS = {"liver": (1, 0, 0), "spleen": (0, 1, 0), "aorta": (0, 0, 1)}
MIDDLES = {"liver": (14, 5, 4), "spleen": (-15, -11, 7), "aorta": (-3.5, 1, -13)}
LIFTED = np.array([[0, -1, 0, 8], [1, 0, 0, -4], [0, 0, 1, 20], [0, 0, 0, 1.0]])


@pytest.fixture
def segmentation() -> slicer.vtkMRMLSegmentationNode:
    """The known patient, segmented, with volume and segmentation under one transform."""
    matrix = np.linalg.inv(LIFTED) @ ijk_to_ras("oblique", "coronal", (1, -1, 1))
    volume = add_volume(np.zeros(shape("oblique", "coronal"), np.int16), matrix)
    volume.SetAndObserveTransformNodeID(add_linear_transform(LIFTED).GetID())
    labels = scan(volume)
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(100, 50)  # nearly black
    node = add_segmentation(volume, {name: labels == n for n, name in enumerate(COLORS, start=1)})
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())
    for name, color in COLORS.items():
        segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
        node.GetSegmentation().GetSegment(segment_id).SetColor(*color)
    return node


@pytest.fixture(params=["Axial", "Coronal", "Sagittal"])
def slice_view(request) -> Iterator[SliceView]:
    view = SliceView(request.param)
    yield view
    view.close()


@pytest.fixture
def three_d_view() -> Iterator[ThreeDView]:
    view = ThreeDView()
    yield view
    view.close()


def _volume(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLVolumeNode:
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def _is_tinted(pixel: np.ndarray, color: tuple[int, int, int]) -> bool:
    """Return whether the color's channel is clearly above the others, which are grey."""
    return pixel[np.argmax(color)] > 80 and pixel[np.argmin(color)] < 40


@pytest.mark.parametrize("name", COLORS)
def test_a_slice_through_a_structure_shows_its_color_where_it_is(slice_view, segmentation, name):
    slice_view.show(_volume(segmentation), CENTER + MIDDLES[name])
    row, column = slice_view.pixel(CENTER + MIDDLES[name])
    assert _is_tinted(slice_view.picture()[row, column], COLORS[name])


def test_nothing_is_colored_where_nothing_is(slice_view, segmentation):
    slice_view.show(_volume(segmentation), CENTER + MIDDLES["spleen"])
    picture = slice_view.picture().astype(int)
    for row, column in ((5, 5), (5, -5), (-5, 5), (-5, -5)):
        assert np.ptp(picture[row, column]) < 10


def test_the_patients_right_is_on_the_left(segmentation):
    view = SliceView("Axial")
    view.show(_volume(segmentation), CENTER)
    right, left = view.pixel(CENTER + (20, 0, 0)), view.pixel(CENTER - (20, 0, 0))
    front, back = view.pixel(CENTER + (0, 20, 0)), view.pixel(CENTER - (0, 20, 0))
    view.close()
    assert right[1] < left[1] and front[0] < back[0]


def test_a_framed_box_fills_the_view_around_its_middle(slice_view, segmentation):
    slice_view.show(_volume(segmentation), CENTER)
    slice_view.frame(CENTER - 10, CENTER + (10, 30, 20))
    corners = [slice_view.pixel(CENTER - 10), slice_view.pixel(CENTER + (10, 30, 20))]
    first, last = np.sort(corners, axis=0)
    np.testing.assert_allclose(first + last, 299, atol=2)
    assert max(last - first) == pytest.approx(300, abs=2)


def test_hidden_segments_are_not_shown(slice_view, segmentation):
    liver = segmentation.GetSegmentation().GetSegmentIdBySegmentName("liver")
    segmentation.GetDisplayNode().SetSegmentVisibility(liver, False)
    slice_view.show(_volume(segmentation), CENTER + MIDDLES["liver"])
    row, column = slice_view.pixel(CENTER + MIDDLES["liver"])
    assert not _is_tinted(slice_view.picture()[row, column], COLORS["liver"])


def test_surfaces_are_seen_from_in_front_as_the_patient_has_them(three_d_view, segmentation):
    show_surfaces(segmentation)
    three_d_view.look((0, 1, 0))
    picture = three_d_view.picture().astype(int)
    columns = {
        name: np.nonzero(picture[..., channel] > picture.sum(axis=-1) * 0.75)[1].mean()
        for channel, name in enumerate(COLORS)
    }
    assert columns["liver"] < columns["aorta"] < columns["spleen"]


def test_surfaces_are_not_seen_before_they_are_shown(three_d_view, segmentation):
    three_d_view.look((0, 1, 0))
    assert np.ptp(three_d_view.picture()[150], axis=0).max() < 10
