"""What is in the scene comes into a training set voxel by voxel, in its place, and unchanged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from anatomy import labels_at
from nodes import (
    add_color_volume,
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
from segmenting import Bench
from slicer_reader import read
from storage import FLIPS, ijk_to_ras, shape
from test_logic_geometry import PLACED
from world import scan, voxel_positions

from GDLACore.errors import Cancelled, GDLAError, OutputError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.training_set import add_case, read_training_set
from GDLASegmenterLib.CaseLabels import caseLabels
from GDLASegmenterLib.CaseSegments import caseSegments
from GDLASegmenterLib.CaseSnapshot import copyInSteps, sceneCase

CARD = make_card()
SIZE = (6, 7, 8)
SOME_FLIPS = FLIPS[::3]  # none, two and two others of three axes
LABELS = np.random.default_rng(5).integers(0, 4, SIZE).astype(np.uint8)
LIVER, SPLEEN, AORTA = CARD.labels


def copied(volume_node, segmentation_node, card=CARD):
    steps = copyInSteps(volume_node, segmentation_node, card)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def labels_of(case):
    return caseLabels(case.layers, case.volume.shape, case.card, case.segmentationName)


def added(folder: Path, case):
    settings = {"patient": "0" * 16, "axis": case.axis, "reviewed": None}
    return add_case(folder, case.volume, labels_of(case), case.structures, case.card, **settings)


@pytest.fixture
def volume_node(scene):
    return add_volume(LABELS.astype(np.int16))


@pytest.fixture
def node(scene, volume_node):
    """What the model made of the volume."""
    bench = Bench(scene, card=CARD)
    node = bench.segment(volume_node).segmentationNode
    bench.logic.cleanup()
    return node


def segment(node, name):
    segmentation = node.GetSegmentation()
    return segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName(name))


# Geometry


@pytest.mark.parametrize("placed", ["as scanned", "under a transform"])
@pytest.mark.parametrize(
    ("kind", "plane"),
    [
        ("axis-aligned", "axial"),
        ("oblique", "sagittal"),
        ("left-handed", "coronal"),
        ("anisotropic", "axial"),
    ],
)
def test_every_voxel_is_read_back_in_its_place_in_the_patient(scene, tmp_path, kind, plane, placed):
    for flips in SOME_FLIPS:
        matrix = ijk_to_ras(kind, plane, flips)
        if placed == "under a transform":
            matrix = np.linalg.solve(PLACED, matrix)
        volume_node = add_volume(np.zeros(shape(kind, plane), np.int16), matrix)
        if placed == "under a transform":
            volume_node.SetAndObserveTransformNodeID(add_linear_transform(PLACED).GetID())
        expected, positions = scan(volume_node), voxel_positions(volume_node)
        bench = Bench(scene, card=CARD)
        node = bench.segment(volume_node).segmentationNode
        bench.logic.cleanup()

        case = added(tmp_path, copied(volume_node, node))
        image = read_volume(case.image)
        np.testing.assert_array_equal(image.array, expected)
        np.testing.assert_array_equal(read_labels(case.segmentation, image), expected)
        kji = np.stack(np.meshgrid(*map(range, image.shape), indexing="ij"), axis=-1)
        places = kji[..., ::-1] @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
        np.testing.assert_allclose(places, positions, atol=1e-6)
        scene.Clear(0)
    assert len(read_training_set(tmp_path)) == len(SOME_FLIPS)


def test_slicer_reads_the_segments_of_a_case_in_their_place(scene, tmp_path):
    matrix = ijk_to_ras("oblique", "coronal", (1, -1, 1))
    volume_node = add_volume(np.zeros(shape("oblique", "coronal"), np.int16), matrix)
    expected = scan(volume_node)
    node = Bench(scene, card=CARD).segment(volume_node).segmentationNode
    seen = read(added(tmp_path, copied(volume_node, node)).segmentation)
    assert seen["success"] and [one["name"] for one in seen["segments"]] == [
        label.name for label in CARD.labels
    ]
    for label, one in zip(CARD.labels, seen["segments"], strict=True):
        assert len(one["positions"]) == np.count_nonzero(expected == label.value)
        assert (labels_at(one["positions"]) == label.value).all()
        assert one["terminology"] == label.terminology.serialized()


@pytest.mark.parametrize("kind", ["left-handed", "oblique"])
def test_a_segmentation_that_was_saved_and_loaded_gives_the_same_labels(scene, tmp_path, kind):
    matrix = ijk_to_ras(kind, "sagittal", (1, 1, -1))
    volume_node = add_volume(np.zeros(shape(kind, "sagittal"), np.int16), matrix)
    expected = scan(volume_node)
    node = Bench(scene, card=CARD).segment(volume_node).segmentationNode
    path = str(tmp_path / "saved.seg.nrrd")
    assert slicer.util.saveNode(node, path)
    loaded = slicer.util.loadSegmentation(path)
    np.testing.assert_array_equal(labels_of(copied(volume_node, loaded)), expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_layer_stored_in_any_order_beside_or_beyond_the_grid_gives_its_part(
    volume_node, node, seed
):
    """Voxels (i, j, k) of the layer are voxels (a ± j, b ± k, c ± i) of the volume, and so on."""
    random = np.random.default_rng(seed)
    order, signs = random.permutation(3), random.choice([-1, 1], 3)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[:, order] * signs
    matrix[:3, 3] = random.integers(-2, 6, 3)
    volume_node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.eye(4)))
    image = slicer.vtkOrientedImageData()
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    image.SetExtent(-3, 4, -1, 5, -2, 3)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    values = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    values[:] = random.integers(0, 4, values.size)
    segmentation = node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segmentation.GetSegment(segment_id).AddRepresentation("Binary labelmap", image)
    expected = np.zeros(SIZE, np.uint8)
    stored = values.reshape(6, 7, 8)
    for k, j, i in np.ndindex(stored.shape):
        there = (matrix @ (i - 3, j - 1, k - 2, 1))[:3].astype(int)[::-1]
        if (there >= 0).all() and (there < SIZE).all():
            expected[tuple(there)] = stored[k, j, i]
    np.testing.assert_array_equal(labels_of(copied(volume_node, node)), expected)


def test_colors_come_without_their_transparency(scene, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (1, 9, 10, 4)).astype(np.uint8)
    volume_node = add_color_volume(pixels)
    labels = LABELS[:1, :7, :8]
    mask = np.zeros((1, 9, 10), bool)
    mask[:, :7, :8] = labels == 1
    node = add_segmentation(volume_node, {"what": mask})
    segment(node, "what").SetTerminology(LIVER.terminology.serialized())
    case = added(tmp_path, copied(volume_node, node))
    np.testing.assert_array_equal(read_volume(case.image).array, pixels[..., :3])


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


def test_of_a_structure_the_models_segment_comes_before_a_users(volume_node, node):
    segmentation = node.GetSegmentation()
    expected = caseSegments(segmentation, CARD)
    segment_id = add_segment(node, volume_node, "mine", np.zeros(SIZE, bool))
    segmentation.GetSegment(segment_id).SetTerminology(LIVER.terminology.serialized())
    segmentation.SetSegmentIndex(segment_id, 0)
    assert caseSegments(segmentation, CARD) == expected


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
