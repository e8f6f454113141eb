"""Of which segments a case consists, at which moment, and what does not make a case."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util
from case_copies import CARD, LABELS, SIZE, added, copied, labels_of, segment, segmented
from nodes import (
    add_grid_transform,
    add_label_map,
    add_linear_transform,
    add_segment,
    add_segmentation,
    add_volume,
    paint,
    put_into_study,
    separate_layers,
    show_surfaces,
)
from phantom import make_card
from test_logic_geometry import PLACED

from GDLACore.errors import Cancelled, GDLAError, OutputError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.model.catalogue import find
from GDLASegmenterLib.CaseSnapshot import copyInSteps, sceneCase

LIVER, SPLEEN, AORTA = CARD.labels


@pytest.fixture
def volume_node(scene):
    return add_volume(LABELS.astype(np.int16))


@pytest.fixture
def node(volume_node):
    """What the model made of the volume."""
    return segmented(volume_node)


# Segments


def test_names_that_a_user_gives_are_not_taken_and_the_models_are(volume_node, node, tmp_path):
    segment(node, "liver").SetName("Leber von Frau Doe")
    drawn = np.zeros(SIZE, bool)
    add_segment(node, volume_node, "Jane Doe's lesion", drawn)
    case = added(tmp_path, copied(volume_node, node))
    written = case.segmentation.read_bytes()
    assert b"Doe" not in written and b"Name:=liver" in written
    np.testing.assert_array_equal(read_labels(case.segmentation, read_volume(case.image)), LABELS)


def test_segments_of_a_users_own_count_by_their_terminology(volume_node, tmp_path):
    node = add_segmentation(volume_node, {"a": LABELS == 1, "b": LABELS == 2, "c": LABELS == 3})
    segment(node, "b").SetTerminology(SPLEEN.terminology.serialized())
    german = dataclasses.replace(
        AORTA.terminology, type=dataclasses.replace(AORTA.terminology.type, meaning="Schlagader")
    )
    segment(node, "c").SetTerminology(german.serialized())
    case = copied(volume_node, node)
    assert case.structures == (SPLEEN, AORTA)
    np.testing.assert_array_equal(labels_of(case), np.where(LABELS == 1, 0, LABELS))


def draw(node, volume_node, name, mask, label):
    segment_id = add_segment(node, volume_node, name, mask)
    coded = node.GetSegmentation().GetSegment(segment_id)
    coded.SetTerminology(label.terminology.serialized())
    return segment_id


def test_a_users_segment_of_a_structure_adds_to_the_models(volume_node, node):
    nothing, there = LABELS == 0, LABELS == 1
    draw(node, volume_node, "mine", nothing, LIVER)
    draw(node, volume_node, "again", there, LIVER)  # shares voxels with what the model drew
    expected = np.where(nothing, LIVER.value, LABELS)
    np.testing.assert_array_equal(labels_of(copied(volume_node, node)), expected)


def test_a_users_segment_of_one_structure_over_another_is_refused(volume_node, node):
    separate_layers(node)
    voxel_of_spleen = LABELS == 2
    segment_id = draw(node, volume_node, "mine", LABELS == 0, LIVER)
    separate_layers(node)
    paint(node, volume_node, segment_id, voxel_of_spleen)
    with pytest.raises(OutputError, match="overlap"):
        labels_of(copied(volume_node, node))


def test_a_copy_that_a_user_keeps_of_the_models_segment_is_left_out(volume_node, node):
    backup = slicer.vtkSegment()
    backup.DeepCopy(segment(node, "liver"))
    backup.SetName("liver, as it was")
    node.GetSegmentation().AddSegment(backup)
    paint(node, volume_node, node.GetSegmentation().GetSegmentIdBySegmentName("liver"), LABELS == 9)
    case = copied(volume_node, node)
    assert case.leftOut == ("liver, as it was",)
    np.testing.assert_array_equal(labels_of(case), np.where(LABELS == 1, 0, LABELS))


ABDOMEN = find("demo-ct").card
LEFT, RIGHT = (one for one in ABDOMEN.labels if one.terminology.type.value == "64033007")


def test_left_and_right_of_one_type_are_told_apart_by_their_modifiers(volume_node):
    node = add_segmentation(volume_node, {})
    draw(node, volume_node, "a", LABELS == 1, RIGHT)
    draw(node, volume_node, "b", LABELS == 2, LEFT)
    no_side = dataclasses.replace(LEFT.terminology, type_modifier=None)
    draw(node, volume_node, "c", LABELS == 3, dataclasses.replace(LEFT, terminology=no_side))
    case = sceneCase(volume_node, node, ABDOMEN)
    assert case.structures == (LEFT, RIGHT) and case.leftOut == ("c",)
    expected = np.choose(LABELS, (0, RIGHT.value, LEFT.value, 0))
    np.testing.assert_array_equal(labels_of(case), expected)


@pytest.mark.parametrize("only", [LEFT, RIGHT])
def test_of_two_sides_the_one_without_a_segment_is_unknown(volume_node, only):
    node = add_segmentation(volume_node, {})
    draw(node, volume_node, "kidney", LABELS == 1, only)
    case = sceneCase(volume_node, node, ABDOMEN)
    assert case.structures == (only,)
    np.testing.assert_array_equal(labels_of(case), np.where(LABELS == 1, only.value, 0))


def test_a_new_segment_that_says_only_tissue_is_no_structure_of_that_code(volume_node, node):
    add_segment(node, volume_node, "new", LABELS == 0)
    card = make_card(("liver", "tissue"))
    assert sceneCase(volume_node, node, card).leftOut == ("spleen", "aorta", "new")


def test_a_structure_of_a_higher_value_than_a_byte_holds_keeps_it(volume_node, tmp_path):
    card = make_card((*(f"part {number}" for number in range(299)), "liver"))
    node = add_segmentation(volume_node, {})
    draw(node, volume_node, "mine", LABELS == 1, card.labels[-1])
    case = added(tmp_path, sceneCase(volume_node, node, card))
    stored = read_labels(case.segmentation, read_volume(case.image))
    np.testing.assert_array_equal(stored, np.where(LABELS == 1, 300, 0))


def test_a_removed_segment_is_unknown_and_an_emptied_one_is_not_there(volume_node, node):
    segmentation = node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("spleen"))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ClearSegment(node, segmentation.GetSegmentIdBySegmentName("aorta"))
    case = copied(volume_node, node)
    assert case.structures == (LIVER, AORTA)
    np.testing.assert_array_equal(labels_of(case), LABELS == 1)


def test_layers_of_their_own_give_the_same_labels(volume_node, node):
    separate_layers(node)
    np.testing.assert_array_equal(labels_of(copied(volume_node, node)), LABELS)


def test_segments_that_overlap_are_refused_by_name(volume_node, node):
    separate_layers(node)
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName("aorta")
    paint(node, volume_node, segment_id, LABELS % 2 == 1)
    node.SetName("my work")
    with pytest.raises(OutputError, match="^liver and aorta of my work overlap") as refused:
        labels_of(copied(volume_node, node))
    assert refused.value.hint


# What changes while it is copied


def test_the_copy_is_of_one_moment_whatever_is_painted_meanwhile(volume_node, node):
    steps = copyInSteps(volume_node, node, CARD)
    next(steps)  # the image is copied
    slicer.util.arrayFromVolume(volume_node)[2] = 77
    slicer.util.arrayFromVolumeModified(volume_node)
    next(steps)
    more = LABELS == 0
    paint(node, volume_node, node.GetSegmentation().GetSegmentIdBySegmentName("aorta"), more)
    with pytest.raises(StopIteration) as end:
        for _ in range(20):
            next(steps)
    case = end.value.value
    assert (case.volume.array[2] == 77).all()
    np.testing.assert_array_equal(labels_of(case) == 3, more)


def test_what_is_done_afterwards_is_not_in_the_copy(volume_node, node):
    case = copied(volume_node, node)
    slicer.util.arrayFromVolume(volume_node)[:] = -5
    for layer in sceneCase(volume_node, node, CARD).layers:
        layer.array[:] = 0
    slicer.mrmlScene.Clear(0)
    np.testing.assert_array_equal(case.volume.array, LABELS)
    np.testing.assert_array_equal(labels_of(case), LABELS)


@pytest.mark.parametrize("gone", ["volume", "segmentation", "scene"])
def test_without_its_nodes_there_is_no_reason_to_go_on(scene, volume_node, node, gone):
    steps = copyInSteps(volume_node, node, CARD)
    next(steps)
    if gone == "scene":
        scene.Clear(0)
    else:
        scene.RemoveNode(volume_node if gone == "volume" else node)
    with pytest.raises(Cancelled, match="is not in the scene any more"):
        for _ in range(20):
            next(steps)


def test_nothing_in_the_scene_is_changed(scene, volume_node, node, tmp_path):
    separate_layers(node)
    before = sceneCase(volume_node, node, CARD).state, node.GetMTime(), scene.GetNumberOfNodes()
    added(tmp_path, copied(volume_node, node))
    after = sceneCase(volume_node, node, CARD).state, node.GetMTime(), scene.GetNumberOfNodes()
    assert before == after


# Patients


def test_the_patient_is_known_by_the_dicom_id_of_the_subject_hierarchy(volume_node, node):
    assert sceneCase(volume_node, node, CARD).patientID == ""
    put_into_study(volume_node)
    assert sceneCase(volume_node, node, CARD).patientID == ""
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = tree.GetItemAncestorAtLevel(tree.GetItemByDataNode(volume_node), "Patient")
    tree.SetItemAttribute(patient, "DICOM.PatientID", "4711")
    assert sceneCase(volume_node, node, CARD).patientID == "4711"


# What is refused


def refusal(volume_node, node):
    with pytest.raises(GDLAError) as refused:
        sceneCase(volume_node, node, CARD)
    assert refused.value.hint
    return refused.value.message


def test_a_segmentation_without_the_models_structures_teaches_nothing(volume_node):
    node = add_segmentation(volume_node, {"liver": LABELS == 1})
    assert refusal(volume_node, node) == "manual has no segment of the structures of Abdomen."


def test_a_segmentation_on_another_grid_is_refused(volume_node, node):
    other = add_volume(np.zeros(SIZE, np.int16), np.diag([1.0, 1.0, 1.5, 1.0]), "thicker")
    assert refusal(other, node) == "CT abdomen was made on another voxel grid than that of thicker."


@pytest.mark.parametrize("moved", ["volume", "segmentation"])
def test_only_one_of_both_under_a_transform_is_refused(volume_node, node, moved):
    transform = add_linear_transform(PLACED)
    (volume_node if moved == "volume" else node).SetAndObserveTransformNodeID(transform.GetID())
    if moved == "volume":
        node.SetAndObserveTransformNodeID(None)
    assert refusal(volume_node, node) == "CT abdomen and CT are under different transforms."


def test_a_volume_that_a_transform_bends_is_refused_as_the_run_does(volume_node, node):
    transform = add_grid_transform()
    for one in (volume_node, node):
        one.SetAndObserveTransformNodeID(transform.GetID())
    assert "which bends it" in refusal(volume_node, node)


def test_surfaces_and_label_maps_are_refused(volume_node, node):
    assert "is a label map" in refusal(add_label_map(LABELS), node)
    show_surfaces(node)
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    assert "consists of surfaces" in refusal(volume_node, node)
