"""Views, the undo history and whoever else listens hear of every voxel that is written."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from nodes import add_segment, add_volume, show_surfaces
from segmenting import Bench

SHAPE = (6, 9, 8)
WHOLE = np.zeros(SHAPE, np.uint8)
WHOLE[0] = WHOLE[5] = WHOLE[:, 0] = WHOLE[:, 8] = WHOLE[..., 0] = WHOLE[..., 7] = 3  # full extent
WHOLE[2:4, 2:4, 2:4] = 1
WHOLE[3, 6, 6] = 1  # a small part of it
SMALL = np.zeros(SHAPE, np.uint8)
SMALL[2:4, 2:4, 2:4] = 1
EVENTS = ["SourceRepresentationModified", "RepresentationModified"]


class Listener:
    """Collects the IDs of segments that ``segmentation`` says were changed."""

    def __init__(self, segmentation, event: str) -> None:
        self.heard: set[str] = set()
        segmentation.AddObserver(getattr(slicer.vtkSegmentation, event), self._on_event)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_event(self, caller: object, event: str, segment_id: str) -> None:
        self.heard.add(segment_id)


def written(scene, labels, outputNode=None, **options):
    """Return a bench, a run with all slices in the segmentation, and the volume."""
    volume_node = add_volume(labels.astype(np.int16))
    bench = Bench(scene)
    run = bench.begin(volume_node, outputNode=outputNode, **options)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    return bench, run, volume_node


@pytest.mark.parametrize("event", EVENTS)
def test_slices_that_are_written(scene, event):
    bench = Bench(scene)
    run = bench.begin(add_volume(WHOLE.astype(np.int16)))
    bench.until(lambda: run.finishedSlices == 2)
    segmentation = run.segmentationNode.GetSegmentation()
    listener = Listener(segmentation, event)
    bench.until(lambda: run.finishedSlices == 4)
    assert listener.heard == set(segmentation.GetSegmentIDs())


@pytest.mark.parametrize("event", EVENTS)
def test_small_parts_that_are_removed_at_the_end(scene, event):
    bench, run, _ = written(scene, WHOLE, largestComponent=True)
    segmentation = run.segmentationNode.GetSegmentation()
    listener = Listener(segmentation, event)
    image = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    before = image.GetMTime()
    bench.to_the_end(run)
    assert listener.heard == set(segmentation.GetSegmentIDs())
    assert image.GetMTime() > before, "the history compares these"


@pytest.mark.parametrize("event", EVENTS)
def test_slices_that_are_taken_back(scene, event):
    node = written(scene, WHOLE)[1].segmentationNode
    bench, run, _ = written(scene, np.where(WHOLE == 3, 2, WHOLE), outputNode=node)
    listener = Listener(node.GetSegmentation(), event)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    assert listener.heard == set(node.GetSegmentation().GetSegmentIDs())


@pytest.mark.parametrize("event", EVENTS)
def test_a_layer_that_is_cropped(scene, event):
    bench, run, _ = written(scene, SMALL)
    segmentation = run.segmentationNode.GetSegmentation()
    listener = Listener(segmentation, event)
    bench.to_the_end(run)
    assert listener.heard == set(segmentation.GetSegmentIDs())


@pytest.mark.parametrize("event", EVENTS)
def test_a_users_segment_whose_layer_the_models_leave(scene, event):
    bench = Bench(scene)
    volume_node = add_volume(WHOLE.astype(np.int16))
    node = bench.segment(volume_node).segmentationNode
    mine = add_segment(node, volume_node, "mine", WHOLE == 0)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    listener = Listener(node.GetSegmentation(), event)
    bench.segment(volume_node, outputNode=node)
    assert mine in listener.heard


def test_surfaces_that_are_renewed(scene):
    bench = Bench(scene)
    volume_node = add_volume(WHOLE.astype(np.int16))
    node = bench.segment(volume_node).segmentationNode
    show_surfaces(node)
    run = bench.begin(volume_node, outputNode=node)
    bench.until(lambda: run.finishedSlices == SHAPE[0])
    listener = Listener(node.GetSegmentation(), "RepresentationModified")
    bench.to_the_end(run)
    assert listener.heard == set(node.GetSegmentation().GetSegmentIDs())
    node.GetDisplayNode().SetVisibility3D(False)
