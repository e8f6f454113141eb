"""A segmentation that is saved and loaded again is the same, on Slicer's two ways of saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_linear_transform, add_segment, add_volume, put_into_study, show_surfaces
from phantom import make_card
from segmenting import Bench
from slicer_reader import reference_matrix, tag
from storage import FLIPS, KINDS, ijk_to_ras, shape
from world import check_segments, scan, segment_positions

from GDLASegmenterLib.ModelRecord import recordOf

CARD = make_card()
NAMES = {label.value: label.name for label in CARD.labels}
TURN = np.array([[0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]])


def _segmented(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """Segment ``volume``, and draw a segment by hand that overlaps what the model found."""
    bench = Bench(slicer.mrmlScene, card=CARD)
    node = bench.segment(volume).segmentationNode
    bench.logic.cleanup()
    by_hand = np.zeros(slicer.util.arrayFromVolume(volume).shape, bool)
    by_hand[2:5, 3:8, 1:9] = True
    segment_id = add_segment(node, volume, "by hand", by_hand)
    node.GetSegmentation().GetSegment(segment_id).SetColor(0.2, 0.4, 1.0)  # else at random
    return node


def _looks(node: slicer.vtkMRMLSegmentationNode) -> list[dict]:
    """Return all that is to be kept of the segments but their voxels."""
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(one) for one in segmentation.GetSegmentIDs()]
    return [
        {
            "name": segment.GetName(),
            "color": np.round(np.multiply(segment.GetColor(), 255), 1).tolist(),
            "terminology": segment.GetTerminology(),
            "model": tag(segment, "GDLA.Model"),
            "label": tag(segment, "GDLA.Label"),
            "status": tag(segment, "Segmentation.Status"),
        }
        for segment in segments
    ]


def _by_hand(node: slicer.vtkMRMLSegmentationNode) -> np.ndarray:
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName("by hand")
    points = segment_positions(node, segment_id).round(3)
    return points[np.lexsort(points.T)]


def _corners(node: slicer.vtkMRMLSegmentationNode, size: tuple[int, int, int]) -> np.ndarray:
    """Return the eight corners [8, 3] of the grid on which ``node`` would be edited, sorted.

    A left-handed grid comes back from a file with k turned round, but covers the same place.
    """
    k, j, i = size
    ends = np.array([(a, b, c, 1) for a in (0, i - 1) for b in (0, j - 1) for c in (0, k - 1)])
    corners = (ends @ reference_matrix(node).T)[:, :3].round(3) + 0.0
    return corners[np.lexsort(corners.T)]


@pytest.mark.parametrize("flips", FLIPS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_segmentation_file_brings_back_every_voxel_and_how_segments_look(
    kind, flips, tmp_path: Path
):
    size = shape(kind, "sagittal")
    volume = add_volume(np.zeros(size, np.int16), ijk_to_ras(kind, "sagittal", flips))
    labels = scan(volume)
    node = _segmented(volume)
    looks, by_hand, corners = _looks(node), _by_hand(node), _corners(node, size)
    path = str(tmp_path / "Überblick 1.seg.nrrd")
    assert slicer.util.saveNode(node, path)
    slicer.mrmlScene.Clear(0)

    node = slicer.util.loadSegmentation(path)
    assert _looks(node) == looks
    check_segments(node, NAMES, labels)
    np.testing.assert_allclose(_by_hand(node), by_hand, atol=2e-3)
    np.testing.assert_allclose(_corners(node, size), corners, atol=2e-3)


@pytest.fixture(params=["axis-aligned", "left-handed", "anisotropic"])
def scene_with_transform(request, scene) -> dict:
    """A volume in a study, under a transform, with its segmentation, and its surfaces shown."""
    kind = request.param
    matrix = np.linalg.inv(TURN) @ ijk_to_ras(kind, "coronal", (1, -1, 1))
    volume = add_volume(np.zeros(shape(kind, "coronal"), np.int16), matrix, "CT of Ann")
    volume.SetAndObserveTransformNodeID(add_linear_transform(TURN).GetID())
    put_into_study(volume)
    labels = scan(volume)
    node = _segmented(volume)
    show_surfaces(node)
    return {"labels": labels, "looks": _looks(node), "by hand": _by_hand(node)}


def _save_and_load(path: Path) -> tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLSegmentationNode]:
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    scene = slicer.mrmlScene
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    (record,) = slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode")
    assert recordOf(node, CARD.name).node is record
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2, "and the volume"
    return slicer.util.getNode("CT of Ann"), node


def test_a_scene_in_one_file_brings_back_the_segmentation_in_its_place(
    scene_with_transform, tmp_path
):
    volume, node = _save_and_load(tmp_path / "séance 1.mrb")
    assert _looks(node) == scene_with_transform["looks"]
    check_segments(node, NAMES, scene_with_transform["labels"])
    np.testing.assert_allclose(_by_hand(node), scene_with_transform["by hand"], atol=2e-3)
    assert node.GetTransformNodeID() == volume.GetTransformNodeID() is not None


def test_a_scene_in_one_file_brings_back_what_belongs_to_what(scene_with_transform, tmp_path):
    volume, node = _save_and_load(tmp_path / "scene.mrb")
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    folder = tree.GetItemParent(tree.GetItemByDataNode(node))
    assert folder == tree.GetItemParent(tree.GetItemByDataNode(volume))
    assert tree.GetItemName(folder) == "folder"
    display = node.GetDisplayNode()
    assert display.GetVisibility3D()
    assert display.GetPreferredDisplayRepresentationName3D() == "Closed surface"
