"""What the Segment Editor effect writes is the user's work: runs of the panel keep off it."""

from __future__ import annotations

import numpy as np
import pytest
from nodes import paint
from panels import ct_array

BRIGHT = ct_array() > 0


@pytest.fixture
def run(desk):
    """Segment with the panel into the segmentation that is edited, and go back to the effect."""

    def run():
        widget = desk.desktop.show("GDLASegmenter")
        widget.panel.parameters.inputVolume = desk.volume
        widget.panel.parameters.segmentation = desk.node
        desk.desktop.click(widget.panel.ui.segmentButton)
        desk.desktop.wait_until(lambda: not widget.panel.controller.isBusy)
        text = widget.panel.ui.statusLabel.text
        desk.desktop.show("SegmentEditor")
        desk.activate()
        return text

    return run


def test_a_slice_that_the_effect_wrote_is_not_changed_by_the_next_run(desk, run):
    run()
    desk.select("Spleen")
    desk.choose_structure("Liver")
    desk.click()
    np.testing.assert_array_equal(desk.voxels("Spleen")[5], BRIGHT[5])
    run()
    np.testing.assert_array_equal(desk.voxels("Spleen")[5], BRIGHT[5])
    assert not desk.voxels("Spleen")[[4, 6]].any()
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == {5}


@pytest.mark.parametrize("before", ["nothing", "a run of another checkpoint"])
def test_all_structures_of_a_new_checkpoint_are_the_users_and_so_is_what_is_painted_then(
    desk, run, before
):
    from GDLACore.imaging.seg_nrrd import MODEL_TAG
    from GDLASegmenterLib.ModelRecord import recordsOf

    if before != "nothing":
        run()
        for segment_id in desk.node.GetSegmentation().GetSegmentIDs():
            segment = desk.node.GetSegmentation().GetSegment(segment_id)
            if segment.HasTag(MODEL_TAG):
                segment.SetTag(MODEL_TAG, "another:1")
                segment.SetName(f"another's {segment.GetName()}")
        for record in recordsOf(desk.node):
            record.node.SetAttribute("GDLA.Model", "another")
    desk.options.allRadioButton.click()
    desk.click()
    mask = desk.voxels("Liver")
    mask[5, 4:8], mask[6, :3, :3] = False, True
    paint(desk.node, desk.volume, desk.id_of("Liver"), mask)
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == {5, 6}
    run()
    np.testing.assert_array_equal(desk.voxels("Liver")[[5, 6]], mask[[5, 6]])
    np.testing.assert_array_equal(desk.voxels("Liver")[[4, 7]], BRIGHT[[4, 7]])


def test_a_removed_segment_that_the_effect_adds_again_was_not_erased_in_other_slices(desk, run):
    run()
    desk.node.GetSegmentation().RemoveSegment(desk.id_of("Liver"))
    desk.options.allRadioButton.click()
    desk.click()
    assert desk.voxels("Liver").any(axis=(1, 2)).nonzero() == (5,)
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == {5}
    run()
    np.testing.assert_array_equal(desk.voxels("Liver"), BRIGHT)


def test_a_slice_written_into_a_file_of_segments_is_the_users_though_nobody_had_looked(desk, run):
    from GDLASegmenterLib.ModelRecord import recordsOf, removeRecord

    run()
    for record in recordsOf(desk.node):
        removeRecord(desk.node, record)
    desk.select("Spleen")
    desk.choose_structure("Liver")
    desk.click()
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == {5}


def test_after_undo_the_slice_is_the_models_again(desk, run):
    run()
    desk.select("Spleen")
    desk.choose_structure("Liver")
    desk.click()
    desk.editor.undo()
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == frozenset()


def test_a_slice_that_was_edited_by_hand_can_be_segmented_by_the_effect(desk, run):
    """It is protected from runs, and not from its user."""
    run()
    desk.select("Liver")
    desk.parameters.SetSourceVolumeIntensityMask(True)
    desk.parameters.SetSourceVolumeIntensityMaskRange(50, 70)
    desk.choose_structure("Spleen")  # of which there is nothing: the segment becomes empty there
    desk.click()
    assert not desk.voxels("Liver")[5].any()
    for _step in desk.reviewed.refresh():
        pass
    assert desk.reviewed.edited == {5}
    desk.choose_structure("Liver")
    desk.click()
    np.testing.assert_array_equal(desk.voxels("Liver")[5], BRIGHT[5])


def test_a_structure_that_is_added_takes_nothing_of_a_segment_in_the_same_layer(desk):
    """The user's liver has the value in the layer that the model's liver would like to have."""
    from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG

    model_made = desk.node.GetSegmentation().GetSegment(desk.id_of("my remark"))
    model_made.SetTag(MODEL_TAG, "demo-ct:1")
    model_made.SetTag(LABEL_TAG, "Spleen")
    before = desk.voxels("liver")
    desk.options.allRadioButton.click()
    desk.click()
    expected = np.zeros(BRIGHT.shape, bool)
    expected[5] = BRIGHT[5]
    np.testing.assert_array_equal(desk.voxels("Liver"), expected)
    np.testing.assert_array_equal(desk.voxels("liver"), before)
