"""What is in the scene comes into a training set voxel by voxel, in its place in the patient."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from anatomy import labels_at
from case_copies import CARD, LABELS, SIZE, added, copied, labels_of, segment, segmented
from nodes import (
    add_color_volume,
    add_linear_transform,
    add_segmentation,
    add_volume,
)
from slicer_reader import read
from storage import FLIPS, ijk_to_ras, shape
from test_logic_geometry import PLACED
from world import scan, voxel_positions

from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.training_set import read_training_set

SOME_FLIPS = FLIPS[::3]  # none, two and two others of three axes


@pytest.fixture
def volume_node(scene):
    return add_volume(LABELS.astype(np.int16))


@pytest.fixture
def node(volume_node):
    """What the model made of the volume."""
    return segmented(volume_node)


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
        case = added(tmp_path, copied(volume_node, segmented(volume_node)))
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
    node = segmented(volume_node)
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
    node = segmented(volume_node)
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
    segment(node, "what").SetTerminology(CARD.labels[0].terminology.serialized())
    case = added(tmp_path, copied(volume_node, node))
    np.testing.assert_array_equal(read_volume(case.image).array, pixels[..., :3])
