"""What was reviewed stays whether a volume, a crop of it or a larger one is segmented again."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from edited_run import FIRST, SECOND, THIRD, kept, recorded
from editing import reviewed
from nodes import add_linear_transform, add_volume, paint
from phantom import make_card
from segmenting import Bench

from GDLACore.errors import OutputError
from GDLASegmenterLib.ModelRecord import recordOf
from GDLASegmenterLib.VolumeGrid import volumeGrid

INSIDE = (3, 3, 4)  # voxels k, j, i of the whole volume, in the crop and beside it
ABOVE = (0, 3, 4)
BESIDE = (3, 0, 4)
CROP = (slice(1, 5), slice(2, 6), slice(0, 8))


@pytest.fixture
def crop(scene, volume_node, request):
    """Return the part ``CROP`` of the volume, counted from its first or its last voxel."""
    matrix = np.eye(4)
    matrix[:3, 3] = [CROP[axis].start for axis in (2, 1, 0)]
    array = FIRST[CROP].astype(np.int16)
    if getattr(request, "param", "turned") == "turned":
        matrix[:3, 3] = [CROP[axis].stop - 1 for axis in (2, 1, 0)]
        matrix[:3, :3] = -np.eye(3)
        array = array[::-1, ::-1, ::-1]
    return add_volume(np.ascontiguousarray(array), matrix, "crop")


def segment(node, volume, labels: np.ndarray, crop=None, save_state=None):
    """Find ``labels`` [k, j, i] of the whole volume, in all of it or in the crop."""
    part = labels
    if volume is crop:
        part = labels[CROP]
        if slicer.util.arrayFromVTKMatrix(matrix_of(volume))[0, 0] < 0:
            part = part[::-1, ::-1, ::-1]
    bench = Bench(slicer.mrmlScene, lambda volume: part, save_state_for_undo=save_state)
    run = bench.segment(volume, outputNode=node)
    bench.logic.cleanup()
    return run.segmentationNode


def labels_in(node, volume) -> np.ndarray:
    """Return the labels [k, j, i] that the segments are now, where the voxels of ``volume`` are."""
    labels = np.zeros(FIRST.shape, np.uint8)
    for label in make_card().labels:
        segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(label.name)
        labels[slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume) != 0] = (
            label.value
        )
    return labels


def dot(node, volume, voxel: tuple[int, int, int]) -> np.ndarray:
    """Turn ``voxel`` of the liver into its contrary; return the labels as ``labels_in`` does."""
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName("liver")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume) != 0
    mask[voxel] = ~mask[voxel]
    paint(node, volume, segment_id, mask)
    return labels_in(node, volume)


def matrix_of(volume) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def cropped(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return ``before`` but with ``after`` in the crop."""
    expected = before.copy()
    expected[CROP] = after[CROP]
    return expected


@pytest.mark.parametrize("crop", ["as stored", "turned"], indirect=True)
@pytest.mark.parametrize("voxel", [INSIDE, ABOVE, BESIDE])
def test_a_correction_after_a_run_on_a_crop_is_kept_by_one_on_the_whole(
    volume_node, node, crop, voxel
):
    segment(node, crop, SECOND, crop)
    np.testing.assert_array_equal(labels_in(node, volume_node), cropped(FIRST, SECOND))
    before = dot(node, volume_node, voxel)
    segment(node, volume_node, THIRD)
    np.testing.assert_array_equal(labels_in(node, volume_node), kept(before, THIRD, voxel[0]))
    assert reviewed(node, volume_node).edited == {voxel[0]}


@pytest.mark.parametrize("voxel", [INSIDE, ABOVE, BESIDE])
def test_so_it_is_where_the_crop_alone_was_segmented_before(volume_node, crop, voxel):
    node = segment(None, crop, SECOND, crop)
    before = dot(node, volume_node, voxel)
    segment(node, volume_node, THIRD)
    np.testing.assert_array_equal(labels_in(node, volume_node), kept(before, THIRD, voxel[0]))
    left = recordOf(node, "abdomen").array(volumeGrid(volume_node))
    np.testing.assert_array_equal(left[[1, 2, 4, 5]], THIRD[[1, 2, 4, 5]])


@pytest.mark.parametrize("voxel", [INSIDE, BESIDE])
def test_a_correction_of_the_whole_is_kept_by_a_run_on_a_crop(volume_node, node, crop, voxel):
    before = dot(node, volume_node, voxel)
    segment(node, crop, SECOND, crop)
    expected = kept(before, cropped(FIRST, SECOND), voxel[0])
    np.testing.assert_array_equal(labels_in(node, volume_node), expected)


def test_looking_with_the_whole_volume_finds_what_was_corrected_of_a_crop(volume_node, crop):
    node = segment(None, crop, SECOND, crop)
    assert reviewed(node, volume_node).edited == set()
    for voxel in (INSIDE, ABOVE):
        dot(node, volume_node, voxel)
    found = reviewed(node, volume_node)
    assert found.isCurrent and found.edited == {INSIDE[0], ABOVE[0]}


def test_looking_with_a_crop_finds_what_was_corrected_beside_it(volume_node, node, crop):
    dot(node, volume_node, ABOVE)
    assert reviewed(node, crop).isCurrent
    assert reviewed(node, volume_node).edited == {ABOVE[0]}


def test_a_file_of_segments_counts_as_the_models_beyond_the_crop_it_was_looked_at_with(
    scene, volume_node, node, crop
):
    scene.RemoveNode(recordOf(node, "abdomen").node)
    assert reviewed(node, crop).edited == set()
    assert reviewed(node, volume_node).edited == set()
    dot(node, volume_node, BESIDE)
    assert reviewed(node, volume_node).edited == {BESIDE[0]}


def test_undoing_a_run_on_a_crop_is_no_correction(volume_node, editor, node, crop):
    segment(node, crop, SECOND, crop, editor.save_state)
    reviewed(node, volume_node)
    editor.logic.Undo()
    np.testing.assert_array_equal(labels_in(node, volume_node), FIRST)
    assert reviewed(node, volume_node).edited == set()
    editor.logic.Redo()
    assert reviewed(node, volume_node).edited == set()
    np.testing.assert_array_equal(recorded(node), cropped(FIRST, SECOND))


@pytest.mark.parametrize("voxel", [INSIDE, BESIDE])
def test_a_run_on_a_crop_may_write_what_was_released(volume_node, node, crop, voxel):
    before = dot(node, volume_node, voxel)
    reviewed(node, volume_node).release(voxel[0])
    segment(node, crop, SECOND, crop)
    np.testing.assert_array_equal(labels_in(node, volume_node), cropped(before, SECOND))
    assert reviewed(node, volume_node).edited == set()


def test_a_correction_after_hardening_a_transform_on_a_crop_is_kept(volume_node, node, crop):
    turn = vtk.vtkTransform()
    turn.RotateZ(5)
    transform = add_linear_transform(slicer.util.arrayFromVTKMatrix(turn.GetMatrix()))
    for one in volume_node, crop, node:
        one.SetAndObserveTransformNodeID(transform.GetID())
        one.HardenTransform()
    assert reviewed(node, crop).edited == set()
    dot(node, volume_node, INSIDE)
    assert len(reviewed(node, crop).edited) == 1
    assert reviewed(node, volume_node).edited == {INSIDE[0]}


def test_what_a_run_writes_while_a_record_grows_is_in_it(volume_node, node):
    matrix = np.eye(4)
    matrix[2, 3] = -2
    longer = add_volume(np.zeros((10, 7, 8), np.int16), matrix, "longer")
    record = recordOf(node, "abdomen")
    steps = record.grow(volumeGrid(longer))
    for _ in range(3):  # all copied but what is checked in the end
        next(steps)
    assert record.array(volumeGrid(longer)) is None
    segment(node, volume_node, SECOND)
    for _step in steps:
        pass
    expected = np.zeros((10, 7, 8))
    expected[2:8] = SECOND
    np.testing.assert_array_equal(record.array(volumeGrid(longer)), expected)
    assert reviewed(node, longer).edited == set()


def test_a_volume_far_away_is_refused_and_no_correction_is_lost(volume_node, node):
    matrix = np.eye(4)
    matrix[:3, 3] = 5000  # the record would be of a hundred gigabytes
    far = add_volume(np.zeros((3, 7, 8), np.int16), matrix, "far")
    before = dot(node, volume_node, INSIDE)  # nobody has looked for it yet
    record = recordOf(node, "abdomen").node
    assert reviewed(node, far).isCurrent
    with pytest.raises(OutputError, match="far is too far away from what a model left") as refused:
        Bench(slicer.mrmlScene).begin(far, outputNode=node)
    assert "let a new one be created" in refused.value.hint
    assert recordOf(node, "abdomen").node is record
    assert reviewed(node, volume_node).edited == {INSIDE[0]}
    np.testing.assert_array_equal(labels_in(node, volume_node), before)
