"""What the Segment Editor effect writes: the slice as the model says, where editing is allowed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import slicer
import vtk
from effect_bench import NAMES, SHAPE, EffectBench, mask, slabs
from nodes import add_segment, separate_layers
from phantom import make_card
from SegmentEditorGDLALib.SliceEdit import editInSteps
from segmenting import stray_values, voxels

from GDLACore.errors import OutputError

Segmentation = slicer.vtkMRMLSegmentationNode
EditorNode = slicer.vtkMRMLSegmentEditorNode
MASKS = {
    name: getattr(Segmentation, f"EditAllowed{name}")
    for name in (
        "Everywhere",
        "InsideAllSegments",
        "InsideVisibleSegments",
        "OutsideAllSegments",
        "OutsideVisibleSegments",
        "InsideSingleSegment",
    )
}


@pytest.fixture
def bench(scene):
    return EffectBench(scene, make_card(NAMES))


def content(bench) -> dict[str, np.ndarray]:
    return {name: voxels(bench.node, name, SHAPE) for name in NAMES}


def in_slice(array: np.ndarray, index: int = 2) -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[index] = array
    return inside


# What becomes of the segments


def test_the_selected_segment_becomes_what_the_model_says_in_that_slice_only(bench):
    changed = bench.edit(bench.answer(slabs(1)), "liver")
    after = content(bench)
    expected = mask(0)
    expected[2] = slabs(1) == 1
    np.testing.assert_array_equal(after["liver"], expected)
    assert changed == 20  # a row of ten each at top and bottom


def test_what_the_segment_takes_is_taken_from_others(bench):
    bench.edit(bench.answer(slabs(1)), "liver")
    np.testing.assert_array_equal(
        content(bench)["spleen"], mask(1) & ~in_slice(slabs(1) == 1), "its other voxels stay"
    )


def test_others_keep_what_the_editor_says_is_not_overwritten(bench):
    bench.editor.node.SetOverwriteMode(EditorNode.OverwriteNone)
    bench.edit(bench.answer(slabs(1)), "liver")
    after = content(bench)
    np.testing.assert_array_equal(after["spleen"], mask(1))
    np.testing.assert_array_equal(after["liver"][2], slabs(1) == 1)


def test_hidden_segments_keep_their_voxels_if_visible_ones_are_overwritten(bench):
    bench.editor.node.SetOverwriteMode(EditorNode.OverwriteVisibleSegments)
    bench.node.GetDisplayNode().SetSegmentVisibility(bench.ids()[2], False)
    bench.edit(bench.answer(slabs(1)), "liver", "aorta")
    after = content(bench)
    np.testing.assert_array_equal(after["spleen"], mask(1))
    np.testing.assert_array_equal(after["aorta"][2], slabs(1) == 3)


def test_all_structures_become_what_the_model_says(bench):
    bench.edit(bench.answer(slabs(1)))
    for value, name in enumerate(NAMES, start=1):
        expected = mask(value - 1)
        expected[2] = slabs(1) == value
        np.testing.assert_array_equal(content(bench)[name], expected)
    assert stray_values(bench.node) == set()


def test_what_is_as_the_model_says_already_is_not_written(bench):
    assert bench.edit(bench.answer(slabs(0))) == 0
    assert bench.editor.strokes == []


def test_a_segment_of_the_users_in_the_same_layer_stays(bench):
    own = np.zeros(SHAPE, bool)
    own[:, 10, 3:6] = True
    add_segment(bench.node, bench.volume, "my remark", own)
    bench.editor.node.SetOverwriteMode(EditorNode.OverwriteNone)
    bench.edit(bench.answer(slabs(1)))
    np.testing.assert_array_equal(voxels(bench.node, "my remark", SHAPE), own)
    np.testing.assert_array_equal(content(bench)["aorta"][2], slabs(1) == 3)


def test_an_empty_segment_is_filled(bench):
    segmentation = bench.node.GetSegmentation()
    segmentation.RemoveSegment(bench.ids()[1])
    segmentation.AddEmptySegment("", "liver")
    bench.edit(bench.answer(slabs(0)), "liver")
    np.testing.assert_array_equal(content(bench)["liver"], mask(0) & in_slice(slabs(0) > 0))


def test_segments_in_layers_of_their_own_are_edited_as_well(bench):
    separate_layers(bench.node)
    bench.edit(bench.answer(slabs(1)))
    for value, name in enumerate(NAMES, start=1):
        np.testing.assert_array_equal(content(bench)[name][2], slabs(1) == value)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_model_may_slice_along_any_axis(bench, axis):
    before = content(bench)
    labels = np.zeros(np.delete(SHAPE, axis), np.uint16)
    labels[1:3, 2:4] = 1
    bench.edit(bench.answer(labels, 5, axis), "liver")
    after = content(bench)["liver"]
    np.testing.assert_array_equal(after.take(5, axis), labels == 1)
    others = [index for index in range(SHAPE[axis]) if index != 5]
    np.testing.assert_array_equal(after.take(others, axis), before["liver"].take(others, axis))


# Where editing is allowed


@pytest.mark.parametrize("where", ["Everywhere", "InsideAllSegments", "InsideSingleSegment"])
def test_what_is_not_free_keeps_its_voxels(bench, where):
    bench.editor.node.SetMaskMode(MASKS[where])
    bench.editor.node.SetMaskSegmentID(bench.ids()[2])
    free = np.ones(SHAPE[1:], bool)
    free[4], free[:, 5] = False, False
    before = content(bench)
    assert bench.edit(bench.answer(slabs(1)), free=free)
    for name in NAMES:
        np.testing.assert_array_equal(content(bench)[name][2, ~free], before[name][2, ~free])


def test_outside_of_all_segments_a_segment_shrinks_and_takes_nothing(bench):
    bench.editor.node.SetMaskMode(MASKS["OutsideAllSegments"])
    bench.edit(bench.answer(slabs(1)), "liver")
    after = content(bench)
    np.testing.assert_array_equal(after["liver"][2], (slabs(1) == 1) & mask(0)[2])
    np.testing.assert_array_equal(after["spleen"], mask(1))


def test_a_segment_that_is_not_selected_may_shrink_under_a_mask_as_well(bench):
    bench.editor.node.SetMaskMode(MASKS["OutsideAllSegments"])
    bench.edit(bench.answer(slabs(1)), "aorta")  # liver is selected
    np.testing.assert_array_equal(content(bench)["aorta"][2], slabs(1) == 3)


@pytest.mark.parametrize("where", ["InsideAllSegments", "InsideVisibleSegments"])
def test_inside_of_segments_voxels_go_from_one_structure_to_another(bench, where):
    bench.editor.node.SetMaskMode(MASKS[where])
    bench.edit(bench.answer(slabs(1)))
    drawn = (mask(0) | mask(1) | mask(2))[2]
    for value, name in enumerate(NAMES, start=1):
        np.testing.assert_array_equal(content(bench)[name][2], (slabs(1) == value) & drawn)


def test_outside_of_segments_a_voxel_that_one_gives_away_goes_to_the_other(bench):
    bench.editor.node.SetMaskMode(MASKS["OutsideAllSegments"])
    bench.edit(bench.answer(slabs(1)))
    for value, name in enumerate(NAMES, start=1):
        np.testing.assert_array_equal(content(bench)[name][2], slabs(1) == value)


def test_inside_a_segment_what_is_given_away_goes_back_to_it(bench):
    """As with Slicer's eraser: so a segment is split into two."""
    node = bench.editor.node
    node.SetMaskMode(MASKS["InsideSingleSegment"])
    node.SetMaskSegmentID(bench.ids()[2])
    bench.edit(bench.answer(slabs(1)), "liver")
    after = content(bench)
    np.testing.assert_array_equal(after["liver"][2], slabs(1) == 1)
    np.testing.assert_array_equal(after["liver"] | after["spleen"], mask(0) | mask(1))
    np.testing.assert_array_equal(after["aorta"], mask(2))


def test_voxels_out_of_the_range_of_intensities_stay(bench):
    bench.editor.node.SetSourceVolumeIntensityMask(True)
    bench.editor.node.SetSourceVolumeIntensityMaskRange(30, 60)  # i from 3 to 6
    before = content(bench)
    bench.edit(bench.answer(slabs(1)))
    for value, name in enumerate(NAMES, start=1):
        expected = before[name].copy()
        expected[2, :, 3:7] = (slabs(1) == value)[:, 3:7]
        np.testing.assert_array_equal(content(bench)[name], expected)


RANDOM = np.random.default_rng(3).integers(0, 4, (4, *SHAPE[1:])).astype(np.uint8)
OVERWRITE = ("OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone")


@pytest.mark.parametrize(("where", "overwrite"), list(itertools.product(MASKS, OVERWRITE)))
def test_nothing_but_the_slice_changes_whatever_the_settings(bench, where, overwrite):
    node = bench.editor.node
    node.SetMaskMode(MASKS[where])
    node.SetMaskSegmentID(bench.ids()[2])
    node.SetOverwriteMode(getattr(EditorNode, overwrite))
    bench.node.GetDisplayNode().SetSegmentVisibility(bench.ids()[3], False)
    has_range = overwrite == "OverwriteAllSegments"
    node.SetSourceVolumeIntensityMask(has_range)
    node.SetSourceVolumeIntensityMaskRange(0, 80)
    before = content(bench)
    for labels in RANDOM:
        bench.edit(bench.answer(labels))
    others = [0, 1, 3, 4]
    for name in NAMES:
        np.testing.assert_array_equal(content(bench)[name][others], before[name][others])
        # Slicer's eraser heeds no intensities where it gives voxels back to another segment.
        if has_range and where != "InsideSingleSegment":
            np.testing.assert_array_equal(content(bench)[name][2, :, 9:], before[name][2, :, 9:])
    assert stray_values(bench.node) == set()


# Where the slice is


def test_of_a_segmentation_stored_in_another_order_the_same_voxels_are_edited(bench):
    """As it is after reading a file back: k first, and counted from the other end."""
    turned = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, SHAPE[0] - 1], [0, 0, 0, 1]])
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    bench.volume.GetIJKToRASMatrix(matrix)
    grid = slicer.util.arrayFromVTKMatrix(matrix) @ turned
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(grid))
    image.SetExtent(0, SHAPE[0] - 1, 0, SHAPE[1] - 1, 0, SHAPE[2] - 1)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    bench.node.GetSegmentation().SetConversionParameter(name, geometry)
    bench.editor.node.SetSourceVolumeIntensityMask(True)
    bench.editor.node.SetSourceVolumeIntensityMaskRange(0, 1000)
    free = np.ones(SHAPE[1:], bool)
    free[:, 3:5] = False
    bench.edit(bench.answer(slabs(1)), free=free)
    reference = slicer.vtkOrientedImageData()
    reference.SetImageToWorldMatrix(matrix)
    reference.SetExtent(0, SHAPE[2] - 1, 0, SHAPE[1] - 1, 0, SHAPE[0] - 1)
    for value, segment_id in bench.ids().items():
        array = slicer.util.arrayFromSegmentBinaryLabelmap(bench.node, segment_id, bench.volume)
        expected = mask(value - 1)
        expected[2, free] = (slabs(1) == value)[free]
        np.testing.assert_array_equal(array != 0, expected)


def test_what_cannot_be_edited_stays_and_the_rest_is_written(bench):
    crop(bench, (2, 8, 0, 11, 0, 4))
    bench.edit(bench.answer(slabs(1)), "liver")
    expected = np.zeros(SHAPE, bool)
    expected[2, :, 2:9] = (slabs(1) == 1)[:, 2:9]
    np.testing.assert_array_equal(voxels(bench.node, "liver", SHAPE), expected)


def test_a_slice_out_of_the_editors_reach_is_refused(bench):
    crop(bench, (0, 11, 0, 11, 3, 4))
    with pytest.raises(OutputError, match="Slice 2 is outside of what can be edited of manual"):
        bench.edit(bench.answer(slabs(1)), "liver")
    assert not voxels(bench.node, "liver", SHAPE).any()


def crop(bench, extent):
    """Leave an empty liver, and have the segmentation edited in ``extent`` only.

    What is drawn can always be edited.
    """
    bench.node.GetSegmentation().RemoveAllSegments()
    bench.node.GetSegmentation().AddEmptySegment("", "liver")
    bench.editor.select("liver")
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    matrix = vtk.vtkMatrix4x4()
    bench.volume.GetIJKToRASMatrix(matrix)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix, extent)
    bench.node.GetSegmentation().SetConversionParameter(name, geometry)


# What others see of it


def test_the_selection_stays_and_nobody_is_told_of_another(bench):
    told = []
    bench.editor.node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: told.append(1))
    bench.edit(bench.answer(slabs(1)), "spleen", "aorta")
    assert bench.editor.node.GetSelectedSegmentID() == bench.ids()[1]
    assert told == []


def test_who_changes_the_segmentation_meanwhile_is_not_overwritten(bench):
    everywhere = np.ones(SHAPE[1:], bool)
    steps = editInSteps(bench.effect, bench.answer(slabs(1)), bench.ids(), everywhere)
    next(steps)
    next(steps)
    bench.node.GetSegmentation().RemoveSegment(bench.ids()[3])
    with pytest.raises(OutputError, match="manual was changed while slice 2"):
        next(steps)


@pytest.mark.parametrize("names", [("liver",), NAMES])
def test_undo_takes_all_of_it_back_at_once_and_redo_repeats_it(bench, names):
    before = content(bench)
    bench.effect.saveStateForUndo()
    bench.edit(bench.answer(slabs(1)), *names)
    after = content(bench)
    bench.editor.undo()
    for name in NAMES:
        np.testing.assert_array_equal(content(bench)[name], before[name])
    bench.editor.redo()
    for name in NAMES:
        np.testing.assert_array_equal(content(bench)[name], after[name])
