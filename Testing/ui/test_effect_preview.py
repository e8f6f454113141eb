"""The live preview of the Segment Editor effect."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from panels import add_ct, ct_array

BRIGHT = ct_array() > 0


@pytest.fixture
def live(desk):
    """The preview, turned on with the mouse."""
    desk.desktop.click(desk.options.preview.checkBox)
    return desk.options.preview._live


def test_it_shows_every_slice_that_the_user_scrolls_to_and_writes_nothing(desk, live):
    before = desk.voxels("liver")
    for index in (5, 6, 3):
        desk.look_at(index)
        desk.desktop.wait_until(lambda index=index: live.index == index)
    np.testing.assert_array_equal(desk.voxels("liver"), before)


def test_what_is_seen_is_written_without_being_computed_again(desk, live, scripted):
    desk.desktop.wait_until(lambda: live.index == 5)
    asked = [index for request in scripted[0].previews for index in request.indices]
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver")[5], BRIGHT[5])
    assert asked.count(5) == 1
    again = [index for request in scripted[0].previews for index in request.indices]
    assert again.count(5) == 1


@pytest.fixture
def other(desk):
    """Another view, which is moved last."""
    node = desk.views.add_slice_node("Red+")
    desk.views.go_to(node, desk.volume, 8)
    yield node
    slicer.mrmlScene.RemoveNode(node)


def test_of_several_views_the_slice_that_is_previewed_is_written(desk, live, other):
    desk.desktop.wait_until(lambda: live.index == 8)
    before = desk.voxels("liver")
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver")[8], BRIGHT[8])
    np.testing.assert_array_equal(desk.voxels("liver")[5], before[5])


def test_a_tilted_view_that_is_previewed_is_not_written(desk, live, other):
    desk.views.tilt(other, 10)
    desk.desktop.wait_until(lambda: live.index == 8 and desk.status)  # where the tilt is noticed
    before = desk.voxels("liver")
    desk.click()
    assert desk.status.startswith("The slice view is tilted against the slices of CT.")
    np.testing.assert_array_equal(desk.voxels("liver"), before)


def test_it_goes_off_with_the_effect(desk, live):
    desk.desktop.wait_until(lambda: live.index == 5)
    desk.leave()
    assert live.index is None and not live.isOn
    desk.activate()
    assert not desk.options.preview.checkBox.checked


def test_it_goes_off_when_another_source_volume_is_chosen(desk, live):
    desk.desktop.wait_until(lambda: live.index == 5)
    desk.editor.setSourceVolumeNode(add_ct("another CT"))
    assert not live.isOn
    assert not desk.options.preview.checkBox.checked


def test_it_does_not_come_on_without_a_checkpoint(desk):
    slicer.modules.GDLASegmenterWidget.logic.getParameterNode().modelName = "not there"
    desk.desktop.click(desk.options.preview.checkBox)
    assert not desk.options.preview.checkBox.checked
    assert desk.status.startswith("The checkpoint not there is not on this computer.")


def test_it_says_what_hinders_it_and_comes_back(desk, live):
    desk.desktop.wait_until(lambda: live.index == 5)
    desk.view.SetMappedInLayout(0)
    desk.desktop.wait_until(lambda: desk.status.startswith("No slice view"))
    assert live.index is None
    desk.view.SetMappedInLayout(1)
    desk.desktop.wait_until(lambda: live.index == 5 and desk.status == "")


def test_it_ends_with_the_volume(desk, live):
    desk.desktop.wait_until(lambda: live.index == 5)
    slicer.mrmlScene.RemoveNode(desk.volume)
    desk.desktop.wait_until(lambda: not desk.options.preview.checkBox.checked)
    assert "was removed" in desk.status


def test_closing_the_scene_ends_it(desk, live):
    desk.desktop.wait_until(lambda: live.index == 5)
    desk.desktop.close_scene()
    desk.desktop.wait_until(lambda: not desk.options.preview.checkBox.checked)
