"""The segmentation or the volume is moved, resampled or remade while slices arrive."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from nodes import add_linear_transform, add_roi, add_volume
from segmenting import LABELMAP, Bench, label_map
from world import segment_positions, voxel_positions

SHAPE = (6, 7, 8)
GENERATOR = np.random.default_rng(3)
FIRST, SECOND = (GENERATOR.integers(0, 4, SHAPE).astype(np.uint8) for _ in range(2))
MOVED = np.array([[1.0, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
TURNED = np.array([[0.0, -1, 0, 3], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.fixture
def volume_node(scene):
    return add_volume(FIRST.astype(np.int16))


@pytest.fixture
def bench(scene):
    results = iter([FIRST, SECOND])
    return Bench(scene, labels=lambda volume: next(results))


@pytest.fixture
def node(bench, volume_node):
    return bench.segment(volume_node).segmentationNode


@pytest.fixture(params=["before the first slice", "midway"])
def run(bench, volume_node, node, request):
    run = bench.begin(volume_node, outputNode=node)
    if request.param == "midway":
        bench.until(lambda: run.finishedSlices == 2)
    return run


def check_places(node, positions, labels):
    """Compare where the segments' voxels are with where in the patient ``labels`` were found."""
    segmentation = node.GetSegmentation()
    for value, name in enumerate(["liver", "spleen", "aorta"], start=1):
        found = segment_positions(node, segmentation.GetSegmentIdBySegmentName(name))
        np.testing.assert_allclose(in_order(found), in_order(positions[labels == value]), atol=2e-3)


def in_order(points):
    return points[np.lexsort(points.round(2).T)]


def resample(node, spacing):
    """Do what "Specify geometry" does: another grid, and every segment's voxels on it."""
    grid = np.diag([spacing, spacing, spacing, 1.0])
    last = [int(count / spacing) - 1 for count in SHAPE[::-1]]
    extent = [end for count in last for end in (0, count)]
    converter = slicer.vtkSegmentationConverter
    geometry = converter.SerializeImageGeometry(slicer.util.vtkMatrixFromArray(grid), extent)
    segmentation = node.GetSegmentation()
    name = converter.GetReferenceImageGeometryParameterName()
    segmentation.SetConversionParameter(name, geometry)
    reference = slicer.vtkOrientedImageData()
    converter.DeserializeImageGeometry(geometry, reference, False)
    for segment_id in segmentation.GetSegmentIDs():
        image = segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP)
        resampling = slicer.vtkOrientedImageDataResample
        resampling.ResampleOrientedImageToReferenceOrientedImage(image, reference, image, False)


def check_result_apart(run, node, volume_node):
    assert run.error is None and run.state.value == "done"
    assert len(run.warnings) == 1 and "in a segmentation of its own" in run.warnings[0]
    assert run.segmentationNode is not node
    check_places(run.segmentationNode, voxel_positions(volume_node), SECOND)


@pytest.mark.parametrize("spacing", [0.5, 2])
def test_a_segmentation_put_on_another_grid_gets_no_more_slices(
    bench, volume_node, node, run, spacing
):
    resample(node, spacing)
    bench.to_the_end(run)
    assert "another voxel grid" in run.warnings[0]
    check_result_apart(run, node, volume_node)
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP)
    np.testing.assert_allclose(image.GetSpacing(), [spacing] * 3)


def test_a_segmentation_that_is_moved_gets_no_more_slices(bench, volume_node, node, run):
    written = run.finishedSlices
    node.SetAndObserveTransformNodeID(add_linear_transform(MOVED).GetID())
    bench.to_the_end(run)
    assert "different transforms" in run.warnings[0]
    check_result_apart(run, node, volume_node)
    said = f"; what was written of it before stays in {node.GetName()}." in run.warnings[0]
    assert said == (written > 0)


@pytest.mark.parametrize("what", ["source", "voxels"])
def test_a_segmentation_turned_into_surfaces_gets_no_more_slices(
    bench, volume_node, node, run, what
):
    node.CreateClosedSurfaceRepresentation()
    segmentation = node.GetSegmentation()
    if what == "source":
        segmentation.SetSourceRepresentationName("Closed surface")
        segmentation.RemoveRepresentation(LABELMAP)
    else:
        segmentation.GetNthSegment(1).RemoveRepresentation(LABELMAP)
    bench.to_the_end(run)
    check_result_apart(run, node, volume_node)


def test_a_segmentation_that_is_hardened_while_the_volume_is_not_is_left(
    scene, bench, volume_node, node
):
    transform = add_linear_transform(TURNED)
    for one in (volume_node, node):
        one.SetAndObserveTransformNodeID(transform.GetID())
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == 2)
    node.HardenTransform()
    bench.to_the_end(run)
    check_result_apart(run, node, volume_node)


def test_the_result_stays_where_the_volume_was_when_that_is_hardened(scene, bench, volume_node):
    volume_node.SetAndObserveTransformNodeID(add_linear_transform(TURNED).GetID())
    positions = voxel_positions(volume_node)
    run = bench.begin(volume_node)
    bench.until(lambda: run.finishedSlices == 2)
    volume_node.HardenTransform()
    bench.to_the_end(run)
    check_places(run.segmentationNode, positions, FIRST)


def test_a_result_kept_apart_is_still_only_what_is_in_the_box(bench, volume_node, node):
    box = add_roi((3.5, 3.5, 2.5), (4, 4, 9))
    points = voxel_positions(volume_node).reshape(-1, 3)
    inside = np.array([box.IsPointInROIWorld(one) for one in points], bool).reshape(SHAPE)
    run = bench.begin(volume_node, outputNode=node, regionNode=box)
    bench.until(lambda: run.finishedSlices == 2)
    slicer.util.arrayFromVolumeModified(volume_node)
    bench.to_the_end(run)
    found = label_map(run.segmentationNode, bench.card, SHAPE)
    np.testing.assert_array_equal(found, np.where(inside, SECOND, 0))
    np.testing.assert_array_equal(label_map(node, bench.card, SHAPE), FIRST)


def test_the_worker_can_tell_by_the_key_whether_the_volume_changed_between_two_runs(scene):
    volume_node = add_volume(FIRST.astype(np.int16))
    bench = Bench(scene)
    for change in (lambda: None, lambda: slicer.util.arrayFromVolumeModified(volume_node)):
        bench.segment(volume_node)
        change()
    bench.segment(volume_node)
    first, second, third = bench.worker.keys
    assert first == second != third


def test_a_transform_removed_before_the_first_slice_is_not_referred_to(scene, bench, volume_node):
    transform = add_linear_transform(MOVED)
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    run = bench.begin(volume_node)
    scene.RemoveNode(transform)
    bench.to_the_end(run)
    assert len(run.warnings) == 1
    assert run.segmentationNode.GetTransformNodeID() is None


def test_a_volume_that_loses_its_voxels_keeps_the_result_of_what_it_had(bench, volume_node):
    run = bench.begin(volume_node)
    volume_node.SetAndObserveImageData(None)
    bench.to_the_end(run)
    assert run.error is None and "was changed" in run.warnings[0]
    np.testing.assert_array_equal(label_map(run.segmentationNode, bench.card, SHAPE), FIRST)


def test_a_volume_whose_voxels_are_not_counted_from_0_is_segmented_in_its_place(scene, bench):
    image = vtk.vtkImageData()  # as filters that crop leave it
    image.SetExtent(3, 10, 2, 8, 1, 6)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    volume_node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "cropped")
    volume_node.SetAndObserveImageData(image)
    slicer.util.arrayFromVolume(volume_node)[:] = FIRST
    node = bench.segment(volume_node).segmentationNode
    k, j, i = np.indices(SHAPE)
    check_places(node, np.stack([i + 3.0, j + 2.0, k + 1.0], axis=-1), FIRST)
