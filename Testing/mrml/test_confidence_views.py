"""The confidence in the slice views: what is seen of it, and views as before without it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
import slicer
import slicer.util
from confidences import SHAPE, segmentation_of, write
from nodes import add_volume
from slicer_views import SliceView, can_draw

from GDLACore.errors import OutputError
from GDLASegmenterLib.ConfidenceVolume import confidenceNode, isConfidenceShown, showConfidence


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
