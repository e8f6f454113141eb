"""Which slice comes first: the one in the slice view that shows such slices best."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from segmenting import ROOT  # noqa: F401  GDLASegmenterLib is found with it

from GDLACore.imaging.volume import Volume
from GDLASegmenterLib.ViewedSlice import showSlice, sliceAt, viewedPoint

VOLUME = Volume(np.zeros((6, 7, 8), np.int16), np.diag([1.0, 1.0, 2.0, 1.0]), "CT", "CT")


# across and along the slices that a view shows, and a point in its middle (RAS, mm)
PLANES = {
    "Sagittal": ((1, 0, 0), (0, -1, 0), (1, 2, 3)),
    "Coronal, aslant": ((0, 0.8, 0.6), (1, 0, 0), (4, 5, 6)),
    "Axial": ((0, 0, 1), (1, 0, 0), (7, 8, 9)),
}


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
def test_the_view_along_the_slices_counts(scene, views, axis, name):
    np.testing.assert_allclose(viewedPoint(scene, VOLUME, axis), PLANES[name][2])


def test_a_view_that_is_not_shown_does_not_count(scene, views):
    views["Axial"].SetMappedInLayout(0)
    np.testing.assert_allclose(viewedPoint(scene, VOLUME, 0), PLANES["Coronal, aslant"][2])


def test_without_views_there_is_no_point(scene, views):
    for view in views.values():
        view.SetMappedInLayout(0)
    assert viewedPoint(scene, VOLUME, 0) is None


@pytest.mark.parametrize(("height", "index"), [(0, 0), (4.9, 2), (5.1, 3), (-80, 0), (80, 5)])
def test_the_nearest_slice_of_the_volume_is_meant(height, index):
    assert sliceAt(VOLUME, 0, (3.0, 4.0, height)) == index


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_view_is_taken_to_a_slice_and_not_sideways(scene, views, axis, index):
    before = np.array(viewedPoint(scene, VOLUME, axis))
    showSlice(scene, VOLUME, axis, index)
    after = np.array(viewedPoint(scene, VOLUME, axis))
    assert sliceAt(VOLUME, axis, tuple(after)) == index
    across = views[("Axial", "Coronal, aslant", "Sagittal")[axis]].GetSliceToRAS()
    normal = [across.GetElement(row, 2) for row in range(3)]
    np.testing.assert_allclose(np.cross(after - before, normal), 0, atol=1e-9)


def test_the_other_views_stay_where_they_are(scene, views):
    showSlice(scene, VOLUME, 0, 5)
    np.testing.assert_allclose(viewedPoint(scene, VOLUME, 1), PLANES["Coronal, aslant"][2])
    np.testing.assert_allclose(viewedPoint(scene, VOLUME, 2), PLANES["Sagittal"][2])


def test_without_views_nothing_is_taken_anywhere(scene, views):
    for view in views.values():
        view.SetMappedInLayout(0)
    showSlice(scene, VOLUME, 0, 2)
    np.testing.assert_allclose(
        [views["Axial"].GetSliceToRAS().GetElement(row, 3) for row in range(3)],
        PLANES["Axial"][2],
    )
