"""Every labelled voxel is where it is in the patient, however the scan is stored and placed.

The way from the volume node through the slices that a network sees, and back into the segmentation
node, is the real one. Where voxels are is asked of Slicer's own nodes, what is there of a patient
who is known exactly.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from nodes import add_linear_transform, add_volume
from phantom import make_card
from segmenting import Bench
from storage import FLIPS, KINDS, PLANES, ijk_to_ras, shape
from world import check_segments, scan

from GDLACore.imaging.volume import Volume
from GDLACore.pipeline import segment_volume

CARD = make_card()
NAMES = {label.value: label.name for label in CARD.labels}

# A patient lying aslant, moved, and a little larger than he is.
PLACED = np.array(
    [
        [1.02, -0.17, 0.05, 40.0],
        [0.17, 1.01, -0.12, -25.0],
        [-0.03, 0.13, 0.99, 60.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


class Reader:
    """An engine that finds in the pixels, which the card's window has scaled, their own values."""

    card = CARD
    batch_size = 5
    in_flight = 1

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        lower, upper = CARD.intensity.lower, CARD.intensity.upper
        return np.rint(slices[:, 0] * (upper - lower) + lower).astype(np.uint8)


def through_the_pipeline(volume: Volume) -> np.ndarray:
    return segment_volume(volume, Reader())


@pytest.mark.parametrize("placed", ["as scanned", "under a transform"])
@pytest.mark.parametrize(("kind", "plane"), list(product(KINDS, PLANES)))
def test_every_labelled_voxel_is_in_its_place(scene, kind, plane, placed):
    for flips in FLIPS:
        matrix = ijk_to_ras(kind, plane, flips)
        if placed == "under a transform":
            matrix = np.linalg.solve(PLACED, matrix)
        volume_node = add_volume(np.zeros(shape(kind, plane), np.int16), matrix)
        if placed == "under a transform":
            volume_node.SetAndObserveTransformNodeID(add_linear_transform(PLACED).GetID())
        expected = scan(volume_node)
        run = Bench(scene, labels=through_the_pipeline, batch=7).segment(volume_node)
        check_segments(run.segmentationNode, NAMES, expected)
        scene.Clear(0)


@pytest.mark.parametrize(("kind", "plane"), list(product(KINDS, PLANES)))
def test_so_is_every_voxel_of_some_slices_written_again(scene, kind, plane):
    for flips in FLIPS:
        volume_node = add_volume(
            np.zeros(shape(kind, plane), np.int16), ijk_to_ras(kind, plane, flips)
        )
        expected = scan(volume_node)
        bench = Bench(scene, labels=through_the_pipeline, batch=3)
        node = bench.segment(volume_node, slices=range(2, 6)).segmentationNode
        bench.segment(volume_node, outputNode=node, slices=range(4))
        bench.segment(volume_node, outputNode=node)
        check_segments(node, NAMES, expected)
        scene.Clear(0)
