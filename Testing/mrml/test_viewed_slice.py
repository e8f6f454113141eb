"""Which slice the user looks at: the one in the view along such slices that was moved last."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from nodes import add_volume
from segmenting import ROOT  # noqa: F401  GDLASegmenterLib is found with it

from GDLACore.imaging.volume import Volume
from GDLASegmenterLib.ViewedSlice import showSlice, sliceAt, viewedPoint, viewOf
from GDLASegmenterLib.VolumeSlices import VolumeSlices

PLACE = np.diag([1.0, 1.0, 2.0, 1.0])
VOLUME = Volume(np.zeros((6, 7, 8), np.int16), PLACE, "CT", "CT")


# across and along the slices that a view shows, and a point in its middle (RAS, mm)
PLANES = {
    "Sagittal": ((1, 0, 0), (0, -1, 0), (1, 2, 3)),
    "Coronal, aslant": ((0, 0.8, 0.6), (1, 0, 0), (4, 5, 6)),
    "Axial": ((0, 0, 1), (1, 0, 0), (7, 8, 9)),
}


@pytest.fixture
def volume(scene):
    return add_volume(VOLUME.array, PLACE)


@pytest.fixture
def views(scene):
    """Three slice views, the best for axial slices being neither the first nor the last."""
    views = {}
    for name in ("Sagittal", "Axial", "Coronal, aslant"):
        node = slicer.vtkMRMLSliceNode()
        node.SetLayoutName(name)
        scene.AddNode(node)
        normal, along, middle = PLANES[name]
        node.SetSliceToRASByNTP(*normal, *along, *middle, 0)
        node.SetMappedInLayout(1)
        views[name] = node
    yield views
    for node in views.values():  # closing a scene keeps its views
        scene.RemoveNode(node)


@pytest.mark.parametrize(("axis", "name"), [(0, "Axial"), (1, "Coronal, aslant"), (2, "Sagittal")])
def test_the_view_along_the_slices_counts(volume, views, axis, name):
    np.testing.assert_allclose(viewedPoint(volume, axis), PLANES[name][2])


def test_a_view_that_is_not_shown_does_not_count(volume, views):
    views["Axial"].SetMappedInLayout(0)
    np.testing.assert_allclose(viewedPoint(volume, 0), PLANES["Coronal, aslant"][2])


def test_without_views_there_is_no_point(volume, views):
    for view in views.values():
        view.SetMappedInLayout(0)
    assert viewedPoint(volume, 0) is None


@pytest.mark.parametrize(("height", "index"), [(0, 0), (4.9, 2), (5.1, 3), (-80, 0), (80, 5)])
def test_the_nearest_slice_of_the_volume_is_meant(height, index):
    assert sliceAt(VOLUME, 0, (3.0, 4.0, height)) == index


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_view_is_taken_to_a_slice_and_not_sideways(volume, views, axis, index):
    before = np.array(viewedPoint(volume, axis))
    showSlice(volume, axis, index)
    after = np.array(viewedPoint(volume, axis))
    assert sliceAt(VOLUME, axis, tuple(after)) == index
    across = views[("Axial", "Coronal, aslant", "Sagittal")[axis]].GetSliceToRAS()
    normal = [across.GetElement(row, 2) for row in range(3)]
    np.testing.assert_allclose(np.cross(after - before, normal), 0, atol=1e-9)


def test_the_other_views_stay_where_they_are(volume, views):
    showSlice(volume, 0, 5)
    np.testing.assert_allclose(viewedPoint(volume, 1), PLANES["Coronal, aslant"][2])
    np.testing.assert_allclose(viewedPoint(volume, 2), PLANES["Sagittal"][2])


def test_without_views_nothing_is_taken_anywhere(volume, views):
    for view in views.values():
        view.SetMappedInLayout(0)
    showSlice(volume, 0, 2)
    np.testing.assert_allclose(
        [views["Axial"].GetSliceToRAS().GetElement(row, 3) for row in range(3)],
        PLANES["Axial"][2],
    )


@pytest.fixture
def second(scene, views):
    """Another axial view, which lies a little aslant and was moved last of all."""
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Axial, too")
    node = scene.AddNode(node)
    node.SetSliceToRASByNTP(0, 0.1, 0.995, 1, 0, 0, 3, 3, 2, 0)
    node.SetMappedInLayout(1)
    yield node
    scene.RemoveNode(node)


def test_of_views_along_the_slices_the_one_moved_last_counts(volume, views, second):
    first = views["Axial"]
    slices = VolumeSlices.along(volume, 0)
    assert viewOf(volume, slices) is second
    for node in (first, second, first):
        node.JumpSliceByOffsetting(0, 0, 4)
        views["Sagittal"].JumpSliceByOffsetting(4, 0, 0)
        assert viewOf(volume, slices) is node
        node.JumpSliceByOffsetting(0, 0, 2)


def test_zooming_and_resizing_a_view_is_not_moving_it(volume, views, second):
    views["Axial"].SetFieldOfView(10, 10, 1)
    views["Axial"].SetDimensions(300, 200, 1)
    views["Axial"].SetSliceVisible(1)
    assert viewOf(volume, VolumeSlices.along(volume, 0)) is second


def test_a_view_that_shows_the_volume_counts_before_one_that_was_moved_last(
    scene, volume, views, second
):
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName("Axial")
    composite = scene.AddNode(composite)
    composite.SetForegroundVolumeID(volume.GetID())
    assert viewOf(volume, VolumeSlices.along(volume, 0)) is views["Axial"]
    scene.RemoveNode(composite)


def test_the_view_moved_last_is_taken_to_a_slice(volume, views, second):
    showSlice(volume, 0, 5)
    assert sliceAt(VOLUME, 0, viewedPoint(volume, 0)) == 5
    assert second.GetSliceToRAS().GetElement(2, 3) != 2
    assert views["Axial"].GetSliceToRAS().GetElement(2, 3) == PLANES["Axial"][2][2]
