"""The Segment Editor effect, from the click to the voxels."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from nodes import add_segmentation
from panels import ct_array
from pythonqt.declared import behaviour_of

BRIGHT = ct_array() > 0  # what the scripted worker takes for the liver


def expected(before, index=5):
    """Return what the segment is after that slice was segmented."""
    after = before.copy()
    after[index] = BRIGHT[index]
    return after


def names(desk):
    segmentation = desk.node.GetSegmentation()
    return [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]


# What is written


def test_the_slice_under_the_eyes_becomes_what_the_model_finds(desk):
    before, own = desk.voxels("liver"), desk.voxels("my remark")
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver"), expected(before))
    np.testing.assert_array_equal(desk.voxels("my remark"), own)
    assert desk.status == "Slice 5: 48 voxels changed."


def test_after_scrolling_it_is_the_next_slice(desk):
    before = desk.voxels("liver")
    desk.click()
    desk.look_at(7.3)
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver"), expected(expected(before), 7))


def test_of_several_views_that_which_was_moved_last_counts_as_for_the_preview(desk):
    before = desk.voxels("liver")
    other = desk.views.add_slice_node("Red+")
    desk.views.go_to(other, desk.volume, 8)
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver"), expected(before, 8))
    desk.look_at(6)
    desk.click()
    slicer.mrmlScene.RemoveNode(other)
    np.testing.assert_array_equal(desk.voxels("liver"), expected(expected(before, 8), 6))


def test_one_undo_takes_it_back(desk):
    before = desk.voxels("liver")
    desk.click()
    desk.editor.undo()
    np.testing.assert_array_equal(desk.voxels("liver"), before)


def test_a_slice_that_is_right_already_is_said_to_be(desk):
    desk.click()
    desk.click()
    assert desk.status == "Slice 5: nothing to change, as far as editing is allowed."


def test_the_editors_mask_holds(desk):
    desk.parameters.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    before, own = desk.voxels("liver"), desk.voxels("my remark")
    desk.click()
    np.testing.assert_array_equal(desk.voxels("liver"), expected(before) & ~own)


def test_all_structures_go_to_segments_of_the_model_which_are_added(desk):
    desk.options.allRadioButton.click()
    before, own = desk.voxels("liver"), desk.voxels("my remark")
    desk.click()
    assert names(desk) == ["liver", "my remark", "Liver"]
    desk.select("my remark")
    desk.look_at(6)
    desk.click()
    assert names(desk) == ["liver", "my remark", "Liver"], "the same segment is written again"
    np.testing.assert_array_equal(desk.voxels("liver"), before, "the user's own one")
    np.testing.assert_array_equal(desk.voxels("my remark"), own)
    nothing = np.zeros(BRIGHT.shape, bool)
    np.testing.assert_array_equal(desk.voxels("Liver"), expected(expected(nothing), 6))


def test_undo_takes_segments_away_that_were_added(desk):
    desk.options.allRadioButton.click()
    desk.click()
    desk.editor.undo()
    assert names(desk) == ["liver", "my remark"]


def test_all_structures_need_no_segment(desk):
    desk.node.GetSegmentation().RemoveAllSegments()
    desk.parameters.SetSelectedSegmentID(None)
    desk.options.allRadioButton.click()
    desk.click()
    nothing = np.zeros(BRIGHT.shape, bool)
    np.testing.assert_array_equal(desk.voxels("Liver"), expected(nothing), desk.status)


def test_a_frame_of_what_the_panel_made_is_edited_in_place(desk):
    """Segments that the model made are known by their tags, whatever they are called."""
    from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG

    segment = desk.node.GetSegmentation().GetNthSegment(0)
    segment.SetTag(MODEL_TAG, "demo-ct:0.1")
    segment.SetTag(LABEL_TAG, "Liver")
    segment.SetName("hepar")
    desk.select("hepar")
    assert desk.structure == "Liver"
    desk.options.allRadioButton.click()
    before = desk.voxels("hepar")
    desk.click()
    assert names(desk) == ["hepar", "my remark"]
    np.testing.assert_array_equal(desk.voxels("hepar"), expected(before))


# Which structure is meant


def test_the_structure_is_that_of_the_segment(desk):
    assert desk.structure == "Liver"
    desk.select("my remark")
    assert desk.structure == ""
    desk.select("liver")
    assert desk.structure == "Liver"


def test_the_type_of_a_segment_counts_more_than_its_name(desk):
    from GDLACore.model.catalogue import find

    card = find("demo-ct").card
    segment = desk.node.GetSegmentation().GetNthSegment(1)
    segment.SetName("liver, my own")
    segment.SetTerminology(card.labels[1].terminology.serialized())
    desk.select("liver, my own")
    assert desk.structure == card.labels[1].name


def test_a_segment_that_is_no_structure_is_left_alone_until_the_user_says_what_it_is(desk):
    desk.select("my remark")
    before = desk.voxels("my remark")
    desk.click()
    assert desk.status == (
        "my remark is none of the checkpoint's structures by its type or name. "
        "Choose the structure that it stands for."
    )
    np.testing.assert_array_equal(desk.voxels("my remark"), before)
    desk.choose_structure("Liver")
    desk.select("liver")
    desk.select("my remark")
    assert desk.structure == "Liver", "it is remembered"
    desk.click()
    np.testing.assert_array_equal(desk.voxels("my remark"), expected(before))


def test_what_is_said_of_a_segment_is_not_said_of_another_segmentations(desk):
    desk.select("my remark")
    desk.choose_structure("Liver")
    same_id = desk.id_of("my remark")
    other = add_segmentation(desk.volume, {"tumor": desk.voxels("liver")})
    other.GetSegmentation().AddEmptySegment(same_id, "another remark")
    desk.editor.setSegmentationNode(other)
    desk.parameters.SetSelectedSegmentID(same_id)
    assert desk.structure == ""
    desk.editor.setSegmentationNode(desk.node)
    desk.select("my remark")
    assert desk.structure == "Liver"


def test_what_is_said_of_a_segment_is_forgotten_when_the_effect_is_left(desk):
    desk.select("my remark")
    desk.choose_structure("Liver")
    desk.leave()
    desk.activate()
    assert desk.structure == ""


def test_what_is_said_of_a_segment_is_not_said_of_another_checkpoints_structures(desk):
    desk.select("my remark")
    desk.choose_structure("Liver")
    parameters = slicer.modules.GDLASegmenterWidget.logic.getParameterNode()
    for name in ("not there", "demo-ct"):
        parameters.modelName = name
        desk.options.showCheckpoint()
    assert desk.structure == ""


def test_the_choice_between_one_and_all_is_kept_with_the_editors_parameters(desk):
    desk.options.allRadioButton.click()
    assert not desk.options.structureComboBox.enabled
    desk.leave()
    desk.activate()
    assert desk.options.allRadioButton.checked
    assert desk.parameters.GetAttribute("GDLA.Scope") == "all"


# What the Segment Editor knows of it


def test_the_effect_is_registered_with_icon_and_help(desk, effect_module):
    assert desk.editor.availableEffectNames() == ("GDLA",)
    assert effect_module.hidden
    assert not desk.effect.self().icon().isNull()
    assert "Not for clinical use" in desk.effect.helpText()
    assert not desk.effect.requireSegments


def test_the_self_test_passes_where_the_effect_is_registered_only(desk):
    slicer.selfTests["SegmentEditorGDLA"]()
    behaviour_of(slicer.qSlicerSegmentEditorEffectFactory.instance()).forget()
    with pytest.raises(AssertionError, match="'GDLA' not found"):
        slicer.selfTests["SegmentEditorGDLA"]()


def test_every_editor_has_an_effect_of_its_own(desk):
    other = slicer.qMRMLSegmentEditorWidget()
    assert other.availableEffectNames() == ("GDLA",)
    assert other.effectByName("GDLA").self() is not desk.effect.self()
    other.delete()


def test_an_effect_that_was_cleaned_up_hears_of_nothing(desk):
    desk.leave()
    desk.effect.cleanup()
    desk.select("my remark")


def test_the_panel_is_made_but_not_shown_and_works_when_it_is(desk, desktop):
    panel = slicer.modules.GDLASegmenterWidget.panel
    assert panel.parameters is None
    assert desk.options.checkpointLabel.text == panel.inputs.storedModel("demo-ct").title
    panel = desktop.show("GDLASegmenter").panel
    assert panel.parameters.inputVolume is desk.volume


def test_the_worker_is_ready_before_the_first_click(desk, scripted):
    (request,) = scripted[0].loaded
    assert "demo-ct" in request.model
