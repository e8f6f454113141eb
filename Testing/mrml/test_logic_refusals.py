"""What cannot be segmented, or not into that segmentation, is said in one sentence beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from nodes import add_segment, add_segmentation, add_volume_sequence
from segmenting import Bench, label_map

from GDLACore.errors import OutputError, VolumeError

SHAPE = (6, 7, 8)
LABELS = np.random.default_rng(3).integers(0, 4, SHAPE).astype(np.uint8)
MASK = LABELS == 1


@pytest.fixture
def volume_node(scene):
    return slicer.util.addVolumeFromArray(LABELS.astype(np.int16), name="CT")


@pytest.fixture
def bench(scene):
    return Bench(scene)


def refusal(bench, volume_node, error, **options) -> str:
    """Return what is said, after seeing that nothing was added to the scene and nothing asked."""
    nodes = bench.logic._scene.GetNumberOfNodes()
    with pytest.raises(error) as caught:
        bench.begin(volume_node, **options)
    assert bench.logic._scene.GetNumberOfNodes() == nodes
    assert not bench.logic.isBusy and bench.worker.requests == []
    assert caught.value.hint
    return caught.value.message


def test_a_label_map_is_refused(scene, bench):
    node = slicer.util.addVolumeFromArray(
        LABELS, nodeClassName="vtkMRMLLabelMapVolumeNode", name="mask"
    )
    assert refusal(bench, node, VolumeError) == "mask is a label map, not an image."


def test_a_volume_without_voxels_is_refused(scene, bench):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    assert refusal(bench, node, VolumeError) == "nothing holds no gray values or colors."


def test_a_volume_of_two_values_per_voxel_is_refused(scene, bench):
    node = slicer.util.addVolumeFromArray(
        np.zeros((3, 4, 5, 2)), nodeClassName="vtkMRMLVectorVolumeNode", name="field"
    )
    assert "field has 2 values per voxel" in refusal(bench, node, VolumeError)


def test_a_volume_under_a_transform_that_bends_it_is_refused(scene, bench, volume_node):
    transform = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    assert "under the transform warp, which bends it" in refusal(bench, volume_node, VolumeError)


def test_a_volume_squashed_flat_by_its_transform_is_refused(scene, bench, volume_node):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, 0.0)
    transform.SetMatrixTransformToParent(matrix)
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    assert "singular" in refusal(bench, volume_node, VolumeError)


def test_a_segmentation_of_surfaces_is_no_output(scene, bench, volume_node):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bones")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    node.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "ball", [1, 0, 0])
    message = refusal(bench, volume_node, OutputError, outputNode=node)
    assert message == "bones consists of surfaces or fractions, not of voxels."


def test_a_segmentation_of_fractions_is_no_output(scene, bench, volume_node):
    node = add_segmentation(volume_node, {"by hand": MASK}, "partial volumes")
    segmentation = node.GetSegmentation()
    assert segmentation.CreateRepresentation("Fractional labelmap")
    segmentation.SetSourceRepresentationName("Fractional labelmap")
    message = refusal(bench, volume_node, OutputError, outputNode=node)
    assert message == "partial volumes consists of surfaces or fractions, not of voxels."


def test_a_segmentation_with_a_segment_without_voxels_is_no_output(scene, bench, volume_node):
    node = bench.segment(volume_node).segmentationNode
    node.SetName("damaged")
    node.GetSegmentation().GetNthSegment(1).RemoveRepresentation("Binary labelmap")
    bench.worker.requests.clear()
    message = refusal(bench, volume_node, OutputError, outputNode=node)
    assert message == "damaged has a segment without voxels."


def test_a_frame_of_a_sequence_of_segmentations_is_no_output(scene, bench):
    frame = LABELS.astype(np.int16)
    _, volume_node = add_volume_sequence([frame, frame])
    run = bench.to_the_end(bench.logic.segmentSequence(bench.request(volume_node)))
    bench.worker.requests.clear()
    message = refusal(bench, volume_node, OutputError, outputNode=run.segmentationNode)
    assert "is a frame of a sequence, which may change to another" in message


def test_a_segmentation_made_on_another_grid_is_no_output(scene, bench, volume_node):
    other = slicer.util.addVolumeFromArray(LABELS.astype(np.int16), name="MR")
    other.SetSpacing(0.9, 1, 1)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "of the MR")
    node.SetReferenceImageGeometryParameterFromVolumeNode(other)
    add_segment(node, other, "by hand", MASK)
    message = refusal(bench, volume_node, OutputError, outputNode=node)
    assert message == "of the MR was made on another voxel grid than that of CT."


def test_a_transform_hardened_on_the_segmentation_alone_is_named_as_a_cause(
    scene, bench, volume_node
):
    node = bench.segment(volume_node).segmentationNode
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 3] = 0.3
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()
    with pytest.raises(OutputError, match="another voxel grid than that of CT") as refused:
        bench.begin(volume_node, outputNode=node)
    assert f"hardened on {node.GetName()} alone" in refused.value.hint


def test_a_segmentation_under_another_transform_is_no_output(scene, bench, volume_node):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "moved")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    add_segment(node, volume_node, "by hand", MASK)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    bench.segment(volume_node, outputNode=node)  # the identity moves nothing
    bench.worker.requests.clear()
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 1.0)
    transform.SetMatrixTransformToParent(matrix)
    message = refusal(bench, volume_node, OutputError, outputNode=node)
    assert message == "moved and CT are under different transforms."


def test_a_segmentation_whose_grid_counts_from_another_corner_is_an_output(
    scene, bench, volume_node
):
    flipped = slicer.util.addVolumeFromArray(np.ascontiguousarray(LABELS[::-1]).astype(np.int16))
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, -1)
    matrix.SetElement(2, 3, SHAPE[0] - 1)
    flipped.SetIJKToRASMatrix(matrix)
    node = bench.segment(flipped).segmentationNode
    bench.segment(volume_node, outputNode=node, slices=range(2))
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), LABELS)


@pytest.mark.parametrize("slices", [range(4, 9), range(2, 2), range(-1, 3), range(10**18)])
def test_slices_that_the_volume_does_not_have_are_refused(bench, volume_node, slices):
    message = refusal(bench, volume_node, VolumeError, slices=slices)
    assert "is no range of slices of CT, which has 6" in message
