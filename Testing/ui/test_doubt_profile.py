"""The doubt of every slice: kept with the segmentation, and the order in which slices are shown."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nodes import add_linear_transform, add_segmentation, add_volume, put_into_study
from panels import MODULE

sys.path.append(str(MODULE.parent))

from GDLASegmenterLib.DoubtProfile import (
    DoubtProfile,
    nextDoubtful,
    profileNode,
    readProfile,
    storeDoubt,
)
from GDLASegmenterLib.ReviewSubject import reviewSubject
from GDLASegmenterLib.VolumeGrid import volumeGrid

# The order


def test_the_most_doubtful_slice_comes_first_and_reviewed_ones_never():
    values = {0: 3.0, 1: 9.0, 2: 5.0, 3: 5.0}
    assert nextDoubtful(values, {1}, None) == 2  # of equal ones, the first in the volume


def test_a_slice_that_was_corrected_meanwhile_is_followed_by_the_next_one():
    values = {0: 3.0, 1: 9.0, 2: 5.0}
    assert nextDoubtful(values, {2}, 2) == 0  # not 1 again, which was passed over


def test_after_the_last_slice_the_first_comes_again():
    assert nextDoubtful({0: 3.0, 1: 9.0}, set(), 0) == 1


def test_a_slice_without_doubt_is_followed_by_the_most_doubtful():
    assert nextDoubtful({0: 3.0, 1: 9.0}, set(), 7) == 1


@pytest.mark.parametrize("values", [{}, {4: 2.0}])
def test_there_is_no_next_slice_where_all_are_reviewed(values):
    assert nextDoubtful(values, {4}, None) is None
    assert nextDoubtful(values, {4}, 4) is None


@settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.dictionaries(st.integers(0, 30), st.floats(0, 4).map(round)),
    st.sets(st.integers(0, 30)),
    st.one_of(st.none(), st.integers(0, 30)),
)
def test_every_slice_that_is_not_reviewed_comes_once_before_the_first_comes_again(
    values, protected, last
):
    wanted = set(values) - protected
    seen = []
    for _ in wanted:
        last = nextDoubtful(values, protected, last)
        seen.append(last)
    assert set(seen) == wanted
    if wanted:
        assert nextDoubtful(values, protected, last) == seen[0]


# The table


MATRIX = np.diag([1.0, 2.0, 3.0, 1.0])


def volume_of(segmentation):
    return segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())


def store(segmentation, axis, doubt, written=(), volume=None):
    grid = volumeGrid(volume or volume_of(segmentation))
    storeDoubt(segmentation, grid, axis, doubt, written)


def read(segmentation, volume=None):
    return readProfile(segmentation, volumeGrid(volume or volume_of(segmentation)))


def part(flipped=(1, 1, 1), first=(0, 0, 0), shape=(6, 5, 4)):
    """Return a volume with some of the segmentation's voxels, [k, j, i], perhaps backwards."""
    steps = np.diag([*flipped[::-1], 1.0])
    ends = [
        index if step > 0 else index + count - 1
        for step, index, count in zip(flipped, first, shape, strict=True)
    ]
    steps[:3, 3] = ends[::-1]
    return add_volume(np.zeros(shape, np.int16), MATRIX @ steps, "part")


@pytest.fixture
def scene(desktop):
    return slicer.mrmlScene


@pytest.fixture
def segmentation(scene):
    volume = add_volume(np.zeros((6, 5, 4), np.int16), MATRIX, "CT")
    mask = np.zeros((6, 5, 4), bool)
    mask[2:4, 1:3, 1:3] = True
    return add_segmentation(volume, {"liver": mask})


def test_what_is_stored_is_read_back(segmentation):
    assert read(segmentation) is None
    store(segmentation, 1, {3: 2.5, 0: 1e-3})
    assert read(segmentation) == DoubtProfile(1, {0: 1e-3, 3: 2.5})


def test_other_slices_keep_their_doubt_and_there_stays_one_table(scene, segmentation):
    store(segmentation, 0, {0: 1.0, 1: 2.0})
    store(segmentation, 0, {1: 8.0, 5: 4.0})
    assert read(segmentation).values == {0: 1.0, 1: 8.0, 5: 4.0}
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1


def test_of_slices_that_were_made_anew_without_doubt_nothing_is_known(scene, segmentation):
    store(segmentation, 0, {}, {1, 2})
    assert profileNode(segmentation) is None
    store(segmentation, 0, {0: 1.0, 1: 2.0, 2: 3.0})
    store(segmentation, 0, {2: 5.0}, {1, 2})
    assert read(segmentation).values == {0: 1.0, 2: 5.0}


def test_the_doubt_of_slices_along_another_axis_takes_its_place(segmentation):
    store(segmentation, 0, {0: 1.0, 1: 2.0})
    store(segmentation, 2, {1: 8.0})
    assert read(segmentation) == DoubtProfile(2, {1: 8.0})


@pytest.mark.parametrize("written_later", ["the copy", "the original"])
def test_a_copy_of_the_segmentation_has_its_own_table_once_one_of_both_is_written(
    scene, segmentation, written_later
):
    store(segmentation, 0, {0: 1.0, 1: 2.0})
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.Copy(segmentation)
    assert profileNode(copy) is profileNode(segmentation)
    written, other = copy, segmentation
    if written_later == "the original":
        written, other = segmentation, copy
    store(written, 0, {1: 8.0}, {0, 1})
    assert read(written).values == {1: 8.0}
    assert read(other).values == {0: 1.0, 1: 2.0}


def test_the_table_lies_beside_its_segmentation(segmentation):
    folder = put_into_study(segmentation)
    store(segmentation, 0, {0: 1.0})
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert tree.GetItemParent(tree.GetItemByDataNode(profileNode(segmentation))) == folder
    assert profileNode(segmentation).GetName() == "manual doubt"


def test_a_table_that_was_removed_is_made_anew(scene, segmentation):
    store(segmentation, 0, {0: 1.0})
    scene.RemoveNode(profileNode(segmentation))
    assert read(segmentation) is None
    store(segmentation, 0, {1: 2.0})
    assert read(segmentation).values == {1: 2.0}


def test_a_table_that_the_user_has_spoilt_is_no_profile(segmentation):
    store(segmentation, 0, {0: 1.0})
    node = profileNode(segmentation)
    node.SetAttribute("GDLA.SliceAxis", "x")
    assert read(segmentation) is None
    store(segmentation, 0, {0: 1.0})
    node.GetTable().SetValue(0, 1, "much")
    assert read(segmentation).values in ({}, {0: 0.0}, {0: 1.0})
    node.RemoveAllColumns()
    assert read(segmentation) is None


def test_the_profile_comes_back_with_the_scene(scene, segmentation, tmp_path):
    store(segmentation, 0, {0: 0.125, 3: 1234.5})
    table = profileNode(segmentation)
    table.AddDefaultStorageNode()
    table.GetStorageNode().SetFileName(str(tmp_path / "doubt.tsv"))
    assert table.GetStorageNode().WriteData(table)
    volume = volume_of(segmentation)
    volume.AddDefaultStorageNode()
    volume.GetStorageNode().SetFileName(str(tmp_path / "ct.nrrd"))
    assert volume.GetStorageNode().WriteData(volume)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(0)
    scene.Import()
    (again,) = (
        scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"))
    )
    assert read(again) == DoubtProfile(0, {0: 0.125, 3: 1234.5})


def test_on_a_volume_that_is_stored_backwards_the_same_slices_are_doubtful(segmentation):
    store(segmentation, 0, {0: 1.0, 4: 2.0})
    assert read(segmentation, part((-1, 1, -1))) == DoubtProfile(0, {5: 1.0, 1: 2.0})


def test_a_volume_of_some_of_the_slices_shows_those_and_the_others_are_not_forgotten(segmentation):
    store(segmentation, 0, {0: 1.0, 3: 2.0, 4: 3.0})
    crop = part(first=(2, 0, 0), shape=(3, 5, 4))
    assert reviewSubject(segmentation, crop, None).doubt == {1: 2.0, 2: 3.0}
    store(segmentation, 0, {0: 8.0}, {0, 1}, crop)
    assert read(segmentation) == DoubtProfile(0, {0: 1.0, 2: 8.0, 4: 3.0})


def test_the_doubt_of_a_part_of_every_slice_is_not_that_of_the_slices(segmentation):
    store(segmentation, 0, {0: 1.0}, (), part(first=(0, 1, 0), shape=(6, 4, 4)))
    assert read(segmentation) is None
    store(segmentation, 0, {1: 2.0})
    assert read(segmentation).values == {1: 2.0}


def test_the_doubt_moves_with_volume_and_segmentation(segmentation):
    store(segmentation, 0, {0: 1.0, 3: 2.0})
    move = add_linear_transform(np.array([[0, -1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 7], [0, 0, 0, 1]]))
    for node in (volume_of(segmentation), segmentation):
        node.SetAndObserveTransformNodeID(move.GetID())
        node.HardenTransform()
    assert read(segmentation) == DoubtProfile(0, {0: 1.0, 3: 2.0})
