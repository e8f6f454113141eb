"""The confidence volume: every value in its place, and only what was computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from confidences import SHAPE, percent_of, segmentation_of, sure, values, write
from nodes import add_linear_transform, add_volume, put_into_study
from storage import FLIPS, KINDS, PLANES, ijk_to_ras, shape
from world import voxel_positions

from GDLASegmenterLib.ConfidenceVolume import (
    confidenceNode,
    confidenceSteps,
    isConfidence,
    isConfidenceShown,
)
from GDLASegmenterLib.VolumeGrid import volumeGrid

PLACED = np.array(
    [[1.02, -0.17, 0.05, 40], [0.17, 1.01, 0, -25], [0, 0.13, 0.99, 60], [0, 0, 0, 1]]
)


# --- what is written -----------------------------------------------------------------------------


def test_there_is_none_before_it_is_written(segmentation):
    assert confidenceNode(segmentation) is None
    assert not isConfidenceShown(segmentation)


def test_it_is_a_volume_of_percent_named_after_the_segmentation(segmentation, volume):
    node = write(segmentation, volume)
    assert node.GetName() == "organs confidence"
    assert isConfidence(node) and not isConfidence(volume)
    assert node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")
    assert values(node).dtype == np.uint8
    np.testing.assert_array_equal(values(node), percent_of(sure()))


def test_it_is_in_the_folder_of_the_volume_but_stays_where_it_is_put(segmentation, volume):
    folder = put_into_study(volume)
    node = write(segmentation, volume)
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(node)
    assert tree.GetItemParent(item) == folder
    elsewhere = tree.CreateFolderItem(tree.GetSceneItemID(), "mine")
    tree.SetItemParent(item, elsewhere)
    write(segmentation, volume)
    assert tree.GetItemParent(item) == elsewhere


@pytest.mark.parametrize("placed", ["as scanned", "under a transform"])
@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_where_its_voxel_is_in_the_patient(scene, kind, plane, placed):
    for flips in FLIPS:
        volume = add_volume(np.zeros(shape(kind, plane), np.int16), ijk_to_ras(kind, plane, flips))
        if placed == "under a transform":
            volume.SetAndObserveTransformNodeID(add_linear_transform(PLACED).GetID())
        node = write(segmentation_of(volume), volume)
        np.testing.assert_allclose(voxel_positions(node), voxel_positions(volume), atol=1e-4)
        np.testing.assert_array_equal(values(node), percent_of(sure(values(volume).shape)))
        scene.Clear(0)


def test_an_image_that_does_not_begin_at_0_keeps_its_place(segmentation, volume):
    volume.GetImageData().SetExtent(3, 10, -2, 4, 1, 6)
    corner = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(corner)
    expected = slicer.util.arrayFromVTKMatrix(corner) @ (3, -2, 1, 1)
    node = write(segmentation, volume)
    assert node.GetImageData().GetExtent() == (0, 7, 0, 6, 0, 5)
    np.testing.assert_allclose(voxel_positions(node)[0, 0, 0], expected[:3])
    again = write(segmentation, volume, sure(seed=1), indices=[2])
    assert again is node
    np.testing.assert_array_equal(values(node)[2], percent_of(sure(seed=1))[2])
    np.testing.assert_array_equal(values(node)[3], percent_of(sure())[3])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_that_were_not_computed_are_0_and_not_read(segmentation, volume, axis):
    confidence = np.full(SHAPE, np.nan, np.float16)
    chosen = (slice(None),) * axis + ([1, 4, 5],)
    confidence[chosen] = sure()[chosen]
    expected = np.zeros(SHAPE)
    expected[chosen] = percent_of(sure())[chosen]
    node = write(segmentation, volume, confidence, axis, [4, 5, 1])
    np.testing.assert_array_equal(values(node), expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_second_run_changes_only_its_slices(segmentation, volume, axis):
    first = write(segmentation, volume)
    expected = values(first).copy()
    later = (slice(None),) * axis + ([0, 3],)
    expected[later] = percent_of(sure(seed=1))[later]
    assert write(segmentation, volume, sure(seed=1), axis, [3, 0]) is first
    np.testing.assert_array_equal(values(first), expected)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2


def test_views_and_saving_hear_of_every_writing(segmentation, volume, tmp_path):
    node = write(segmentation, volume)
    assert slicer.util.saveNode(node, str(tmp_path / "confidence.nrrd"))
    assert not node.GetModifiedSinceRead()
    heard = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: heard.append(1))
    write(segmentation, volume, sure(seed=1), indices=[2])
    assert heard and node.GetModifiedSinceRead()


def test_no_slices_are_written_without_complaint(segmentation, volume):
    assert not values(write(segmentation, volume, indices=[])).any()


def test_every_segmentation_of_a_volume_has_its_own(segmentation, volume):
    other = segmentation_of(volume, "organs")
    first, second = write(segmentation, volume), write(other, volume, sure(seed=1))
    assert first is not second and first.GetName() != second.GetName()
    np.testing.assert_array_equal(values(first), percent_of(sure()))
    np.testing.assert_array_equal(values(second), percent_of(sure(seed=1)))


def test_how_the_user_shows_it_is_left_alone(segmentation, volume):
    display = write(segmentation, volume).GetDisplayNode()
    display.SetThreshold(1, 50)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    write(segmentation, volume, sure(seed=1))
    assert display.GetUpperThreshold() == 50
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


@pytest.mark.parametrize("later", [sure(seed=1), None], ids=["confidence", "none"])
def test_a_copy_of_the_segmentation_gets_its_own_when_it_is_written(segmentation, volume, later):
    of_original = write(segmentation, volume)
    copy = copy_of(segmentation)
    assert confidenceNode(copy) is of_original
    for _ in confidenceSteps(copy, volumeGrid(volume), later, 0, [2]):
        pass
    own = confidenceNode(copy)
    assert confidenceNode(segmentation) is of_original is not own
    np.testing.assert_array_equal(values(of_original), percent_of(sure()))
    expected = percent_of(sure())
    expected[2] = 0 if later is None else percent_of(later)[2]
    np.testing.assert_array_equal(values(own), expected)
    np.testing.assert_allclose(voxel_positions(own), voxel_positions(volume), atol=1e-4)
    assert write(segmentation, volume, sure(seed=2)) is of_original
    np.testing.assert_array_equal(values(own), expected)


def copy_of(segmentation) -> slicer.vtkMRMLSegmentationNode:
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.Copy(segmentation)
    copy.SetName("copy")
    return copy


# --- what the user does meanwhile ----------------------------------------------------------------


@pytest.mark.parametrize("removed", ["confidence", "segmentation", "volume", "everything"])
@pytest.mark.parametrize("at", range(1, 8))
def test_what_is_removed_meanwhile_ends_it_quietly(scene, segmentation, volume, removed, at):
    steps = confidenceSteps(segmentation, volumeGrid(volume), sure(), 0, range(6))
    for _ in range(at):
        next(steps, None)
    node = confidenceNode(segmentation)
    if removed == "everything":
        scene.Clear(0)
    else:
        scene.RemoveNode(
            {"confidence": node, "segmentation": segmentation, "volume": volume}[removed]
        )
    list(steps)
    if removed == "volume":
        np.testing.assert_array_equal(values(node), percent_of(sure()))


@pytest.mark.parametrize("change", ["removed", "replaced", "cropped", "moved"])
def test_what_took_its_place_meanwhile_is_left_alone(scene, segmentation, volume, change):
    node = write(segmentation, volume)
    steps = confidenceSteps(segmentation, volumeGrid(volume), sure(seed=1), 0, range(6))
    for _ in range(2):
        next(steps)
    voxels = values(node)
    if change == "removed":
        scene.RemoveNode(node)
    elif change == "replaced":
        other = add_volume(np.full(SHAPE, 7, np.uint8), np.diag([0.75, 1.5, 4, 1]), "other")
        segmentation.SetNodeReferenceID("GDLA.Confidence", other.GetID())
    elif change == "cropped":
        slicer.util.updateVolumeFromArray(node, np.full((6, 3, 8), 7, np.uint8))
    else:
        node.SetOrigin(1, 2, 3)
    assert list(steps) == []
    if change == "cropped":
        assert (values(node) == 7).all()
    else:
        np.testing.assert_array_equal(voxels[2:], percent_of(sure())[2:])
    if change == "replaced":
        assert (values(other) == 7).all()


def test_nothing_is_made_for_a_segmentation_that_is_gone(scene, segmentation, volume):
    scene.RemoveNode(segmentation)
    assert list(confidenceSteps(segmentation, volumeGrid(volume), sure(), 0, range(6))) == []
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_one_that_the_user_removed_is_made_anew(scene, segmentation, volume):
    scene.RemoveNode(write(segmentation, volume))
    node = write(segmentation, volume, indices=[1])
    np.testing.assert_array_equal(values(node)[1], percent_of(sure())[1])
    assert not values(node)[2].any()


@pytest.mark.parametrize("change", ["cast", "cropped", "moved", "emptied"])
def test_one_that_the_user_has_changed_is_filled_anew(segmentation, volume, change):
    node = write(segmentation, volume)
    if change == "cast":
        slicer.util.updateVolumeFromArray(node, values(node).astype(np.float32))
    elif change == "cropped":
        slicer.util.updateVolumeFromArray(node, values(node)[1:].copy())
    elif change == "moved":
        node.SetOrigin(1, 2, 3)
    else:
        node.SetAndObserveImageData(None)
    assert write(segmentation, volume, indices=[3]) is node
    expected = np.zeros(SHAPE)
    expected[3] = percent_of(sure())[3]
    np.testing.assert_array_equal(values(node), expected)
    np.testing.assert_allclose(voxel_positions(node), voxel_positions(volume), atol=1e-4)


def test_it_follows_the_volume_under_another_transform(segmentation, volume):
    node = write(segmentation, volume)
    volume.SetAndObserveTransformNodeID(add_linear_transform(PLACED).GetID())
    write(segmentation, volume, indices=[3])
    np.testing.assert_allclose(voxel_positions(node), voxel_positions(volume), atol=1e-4)
    np.testing.assert_array_equal(values(node), percent_of(sure()))


# --- saved and loaded ----------------------------------------------------------------------------


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1)], ids=["right-handed", "left-handed"])
def test_a_saved_scene_brings_it_back_and_later_slices_go_into_it(scene, tmp_path: Path, flips):
    volume = add_volume(
        np.zeros(shape("oblique", "coronal"), np.int16), ijk_to_ras("oblique", "coronal", flips)
    )
    volume.SetAndObserveTransformNodeID(add_linear_transform(PLACED).GetID())
    segmentation = segmentation_of(volume)
    size = values(volume).shape
    node = write(segmentation, volume, indices=range(2, 9))
    by_place = dict(zip(map(tuple, _places(node)), values(node).ravel().tolist(), strict=True))
    assert slicer.util.saveScene(str(tmp_path / "scène.mrb"))
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scène.mrb"))

    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    volume = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    node = confidenceNode(segmentation)
    assert node.GetName() == "organs confidence" and isConfidence(node)
    found = dict(zip(map(tuple, _places(node)), values(node).ravel().tolist(), strict=True))
    assert found == by_place
    display = node.GetDisplayNode()
    assert display.GetInvertDisplayScalarRange() and display.GetApplyThreshold()
    assert display.GetColorNode().GetName() == "Plasma"
    before = values(node).copy()
    assert write(segmentation, volume, sure(size, 1), indices=[1]) is node
    before[1] = percent_of(sure(size, 1))[1]
    np.testing.assert_array_equal(values(node), before)


def _places(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    return voxel_positions(node).reshape(-1, 3).round(2) + 0.0
