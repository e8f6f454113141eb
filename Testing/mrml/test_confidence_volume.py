"""The confidence volume: every value in its place, only what was computed, and views as before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from nodes import add_linear_transform, add_segmentation, add_volume, put_into_study
from slicer_views import SliceView, can_draw
from storage import FLIPS, KINDS, PLANES, ijk_to_ras, shape
from world import voxel_positions

from GDLACore.errors import OutputError
from GDLASegmenterLib.ConfidenceVolume import (
    confidenceNode,
    confidenceSteps,
    isConfidence,
    isConfidenceShown,
    showConfidence,
)
from GDLASegmenterLib.VolumeGrid import VolumeGrid, volumeGrid

SHAPE = (6, 7, 8)
PLACED = np.array(
    [[1.02, -0.17, 0.05, 40], [0.17, 1.01, 0, -25], [0, 0.13, 0.99, 60], [0, 0, 0, 1]]
)


@pytest.fixture
def volume(scene) -> slicer.vtkMRMLScalarVolumeNode:
    return add_volume(np.zeros(SHAPE, np.int16), np.diag([0.75, 1.5, 4, 1]))


def segmentation_of(volume: slicer.vtkMRMLVolumeNode, name: str = "organs"):
    node = add_segmentation(volume, {}, name)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())
    return node


@pytest.fixture
def segmentation(volume) -> slicer.vtkMRMLSegmentationNode:
    return segmentation_of(volume)


def sure(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float16)


def write(segmentation, volume, confidence=None, axis: int = 0, indices=None):
    """Write ``confidence`` to the end, and return its volume."""
    grid = volume if isinstance(volume, VolumeGrid) else volumeGrid(volume)
    confidence = sure(grid.shape) if confidence is None else confidence
    indices = range(grid.shape[axis]) if indices is None else indices
    for _ in confidenceSteps(segmentation, grid, confidence, axis, indices):
        pass
    return confidenceNode(segmentation)


def percent_of(confidence: np.ndarray) -> np.ndarray:
    return np.rint(100 * confidence.astype(float)).clip(1, 100)


def values(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    return slicer.util.arrayFromVolume(node)


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


# --- views ---------------------------------------------------------------------------------------


class Views:
    """Slice views without windows: what is in each is in its composite node."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene

    def add(self, background=None, foreground=None, opacity: float = 0.0):
        node = self._scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        node.SetBackgroundVolumeID(background.GetID() if background else None)
        node.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        node.SetForegroundOpacity(opacity)
        return node


@pytest.fixture
def views(scene) -> Views:
    return Views(scene)


def seen(composite) -> tuple[str | None, str | None, float]:
    return (
        composite.GetBackgroundVolumeID(),
        composite.GetForegroundVolumeID(),
        composite.GetForegroundOpacity(),
    )


def test_writing_it_shows_it_nowhere(segmentation, volume, views):
    composites = [views.add(volume), views.add()]
    before = [seen(one) for one in composites]
    write(segmentation, volume)
    assert [seen(one) for one in composites] == before


def test_it_is_laid_half_opaque_over_the_volume_and_nowhere_else(segmentation, volume, views):
    other = add_volume(np.zeros(SHAPE, np.int16), name="MR")
    over, elsewhere, nothing = views.add(volume), views.add(other), views.add()
    untouched = [seen(elsewhere), seen(nothing)]
    node = write(segmentation, volume)
    showConfidence(segmentation, True)
    assert seen(over) == (volume.GetID(), node.GetID(), 0.5)
    assert [seen(elsewhere), seen(nothing)] == untouched
    assert isConfidenceShown(segmentation)


def test_taking_it_off_brings_back_what_was_there(segmentation, volume, views):
    PET = add_volume(np.zeros(SHAPE, np.int16), name="PET")
    composites = [views.add(volume, PET, 0.3), views.add(volume), views.add(volume, None, 0.7)]
    before = [seen(one) for one in composites]
    write(segmentation, volume)
    for _ in range(2):  # asked twice, it is no other
        showConfidence(segmentation, True)
    showConfidence(segmentation, False)
    assert [seen(one) for one in composites] == before
    assert not isConfidenceShown(segmentation)
    showConfidence(segmentation, False)
    assert [seen(one) for one in composites] == before


def test_what_the_user_puts_in_front_meanwhile_stays(segmentation, volume, views):
    PET = add_volume(np.zeros(SHAPE, np.int16), name="PET")
    over = views.add(volume, None, 0.1)
    node = write(segmentation, volume)
    showConfidence(segmentation, True)
    over.SetForegroundVolumeID(PET.GetID())
    over.SetForegroundOpacity(0.8)
    showConfidence(segmentation, False)
    assert seen(over) == (volume.GetID(), PET.GetID(), 0.8)
    showConfidence(segmentation, True)
    assert seen(over)[1] == node.GetID()
    showConfidence(segmentation, False)
    assert seen(over) == (volume.GetID(), PET.GetID(), 0.8)


def test_another_segmentations_confidence_takes_its_place_and_gives_back_the_same(
    segmentation, volume, views
):
    PET = add_volume(np.zeros(SHAPE, np.int16), name="PET")
    over = views.add(volume, PET, 0.3)
    other = segmentation_of(volume, "vessels")
    first, second = write(segmentation, volume), write(other, volume)
    showConfidence(segmentation, True)
    showConfidence(other, True)
    assert seen(over)[1] == second.GetID()
    showConfidence(segmentation, False)  # it is not what is shown
    assert seen(over)[1] == second.GetID()
    showConfidence(segmentation, True)
    assert seen(over)[1] == first.GetID()
    showConfidence(segmentation, False)
    assert seen(over) == (volume.GetID(), PET.GetID(), 0.3)


@pytest.mark.parametrize("removed", ["confidence", "what was there", "both"])
def test_removing_what_is_shown_leaves_nothing_behind(scene, segmentation, volume, views, removed):
    PET = add_volume(np.zeros(SHAPE, np.int16), name="PET")
    over = views.add(volume, PET, 0.3)
    node = write(segmentation, volume)
    showConfidence(segmentation, True)
    if removed != "confidence":
        scene.RemoveNode(PET)
    if removed != "what was there":
        scene.RemoveNode(node)
    showConfidence(segmentation, False)
    expected = PET.GetID() if removed == "confidence" else None
    assert seen(over) == (volume.GetID(), expected, 0.3)


@pytest.fixture
def red(scene) -> Iterator[slicer.vtkMRMLSliceCompositeNode]:
    """The composite node of Slicer's first slice view, which every scene has."""
    node = slicer.vtkMRMLSliceCompositeNode()
    node.SetSingletonTag("Red")
    node.SetLayoutName("Red")
    node = scene.AddNode(node)
    yield node
    scene.RemoveNode(node)


def test_a_scene_saved_with_it_in_front_can_take_it_off(scene, red, segmentation, volume, tmp_path):
    red.SetBackgroundVolumeID(volume.GetID())
    red.SetForegroundOpacity(0.25)
    write(segmentation, volume)
    showConfidence(segmentation, True)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    assert red.GetForegroundVolumeID() is None
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert red.GetForegroundVolumeID() == confidenceNode(segmentation).GetID()
    assert isConfidenceShown(segmentation)
    showConfidence(segmentation, False)
    assert red.GetBackgroundVolumeID() is not None
    assert red.GetForegroundVolumeID() is None
    assert red.GetForegroundOpacity() == 0.25


def test_there_must_be_something_to_show(segmentation, volume, views):
    over = views.add(volume)
    before = seen(over)
    with pytest.raises(OutputError, match="organs has no confidence volume") as raised:
        showConfidence(segmentation, True)
    assert "Segment the volume again" in raised.value.hint
    assert seen(over) == before
    showConfidence(segmentation, False)


@pytest.mark.parametrize("shown", ["nothing", "another volume", "no volume any more"])
def test_a_view_must_show_the_volume(scene, segmentation, volume, views, shown):
    other = add_volume(np.zeros(SHAPE, np.int16), name="MR")
    views.add()
    if shown == "another volume":
        views.add(other)
    write(segmentation, volume)
    if shown == "no volume any more":
        views.add(volume)
        scene.RemoveNode(volume)
    with pytest.raises(OutputError, match="No slice view shows (CT|organs), which the confidence"):
        showConfidence(segmentation, True)
    assert not isConfidenceShown(segmentation)


# --- what is seen --------------------------------------------------------------------------------

drawn = pytest.mark.skipif(
    not can_draw() and "CI" not in os.environ, reason="drawing needs EGL or OSMesa"
)


@pytest.fixture
def slice_view() -> Iterator[SliceView]:
    view = SliceView("Axial")
    yield view
    view.close()


@drawn
def test_doubt_is_bright_certainty_clear_and_what_was_not_computed_as_well(scene, slice_view):
    volume = add_volume(np.full((3, 40, 40), 50, np.int16), np.diag([-1, -1, 3, 1]))
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 100)
    segmentation = segmentation_of(volume)
    confidence = np.ones((3, 40, 40), np.float16)
    confidence[1, :, :10], confidence[1, :, 10:20], confidence[1, :, 20:30] = 0.02, 0.45, 0.97
    write(segmentation, volume, confidence, 0, [1])
    places = [(-column, -20, 3) for column in (5, 15, 25, 35)]

    slice_view.show(volume, places[0])
    plain = _colors(slice_view, places)
    assert np.ptp(plain, axis=1).max() == 0  # grey
    showConfidence(segmentation, True)
    slice_view.show(volume, places[0])
    doubtful, wavering, *certain = _colors(slice_view, places)
    assert doubtful[0] > 150 and doubtful[1] > 150 and doubtful[2] < 110  # yellow
    assert _luminance(doubtful) > _luminance(wavering) + 30
    assert np.ptp(wavering) > 20
    np.testing.assert_array_equal(certain, plain[2:])

    slice_view.show(volume, (-5, -20, 6))  # not computed
    np.testing.assert_array_equal(_colors(slice_view, [(x, y, 6) for x, y, _ in places]), plain)
    showConfidence(segmentation, False)
    slice_view.show(volume, places[0])
    np.testing.assert_array_equal(_colors(slice_view, places), plain)


def _luminance(color: np.ndarray) -> float:
    return float(color @ (0.2126, 0.7152, 0.0722))


def _colors(view: SliceView, places: list[tuple[float, float, float]]) -> np.ndarray:
    picture = view.picture().astype(int)
    return np.array([picture[view.pixel(place)] for place in places])
