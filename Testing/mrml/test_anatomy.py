"""The known patient and the ways to store a scan of him are fit to find what they are to find."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from anatomy import CENTER, labels_at
from nodes import (
    add_bspline_transform,
    add_grid_transform,
    add_linear_transform,
    add_segmentation,
    add_volume,
)
from storage import FLIPS, KINDS, PLANES, ijk_to_ras, shape
from world import check_segments, scan, voxel_positions

NAMES = {1: "liver", 2: "spleen", 3: "aorta"}


def _points() -> np.ndarray:
    return CENTER + np.stack(np.meshgrid(*[np.arange(-31, 32, 3)] * 3, indexing="ij"), axis=-1)


def test_no_flip_or_exchange_of_axes_goes_unnoticed():
    points = _points()
    labels = labels_at(points)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        if (order, signs) == ((0, 1, 2), (1, 1, 1)):
            continue
        turned = labels_at(CENTER + (points - CENTER)[..., order] * signs)
        for label in NAMES:
            here, there = labels == label, turned == label
            assert np.count_nonzero(here & there) < 0.9 * np.count_nonzero(here), (order, signs)


@pytest.mark.parametrize("kind", KINDS)
def test_every_grid_holds_all_of_the_patient(kind):
    volumes = {}
    for plane, flips in product(PLANES, FLIPS):
        volume = add_volume(np.zeros(shape(kind, plane), np.int16), ijk_to_ras(kind, plane, flips))
        labels = scan(volume)
        assert not labels[[0, -1]].any() and not labels[:, [0, -1]].any()
        assert not labels[:, :, [0, -1]].any()
        volumes[plane, flips] = np.bincount(labels.ravel())
    counts = np.stack(list(volumes.values()))
    assert counts.min() > 20
    np.testing.assert_array_equal(counts, counts[:1].repeat(len(counts), axis=0))


@pytest.mark.parametrize("plane", PLANES)
def test_positions_are_those_of_the_grid(plane):
    matrix = ijk_to_ras("oblique", plane, (1, -1, 1))
    volume = add_volume(np.zeros(shape("oblique", plane), np.int16), matrix)
    positions = voxel_positions(volume)
    np.testing.assert_allclose(positions[2, 5, 3], (matrix @ (3, 5, 2, 1))[:3], atol=1e-9)


TURN = np.array([[0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]])


def test_positions_follow_transforms_of_transforms():
    volume = add_volume(np.zeros((2, 3, 4), np.int16))
    inner, outer = add_linear_transform(TURN), add_linear_transform(np.diag([2.0, 1, 1, 1]))
    volume.SetAndObserveTransformNodeID(inner.GetID())
    inner.SetAndObserveTransformNodeID(outer.GetID())
    np.testing.assert_allclose(voxel_positions(volume)[1, 2, 3], [2 * (5 - 2), 3 - 3, 1 + 11])


@pytest.mark.parametrize("add_transform", [add_grid_transform, add_bspline_transform])
def test_positions_follow_warps(add_transform):
    node = add_transform(6.0)
    assert not node.IsTransformToWorldLinear()
    volume = add_volume(np.zeros((2, 3, 4), np.int16))
    before = voxel_positions(volume)
    volume.SetAndObserveTransformNodeID(node.GetID())
    moved = np.linalg.norm(voxel_positions(volume) - before, axis=-1)
    assert moved.min() > 2 and moved.max() < 12


def _scanned(matrix: np.ndarray):
    volume = add_volume(np.zeros(shape("oblique", "axial"), np.int16), matrix)
    volume.SetAndObserveTransformNodeID(add_linear_transform(TURN).GetID())
    return volume


def test_a_segmentation_in_its_place_passes_and_one_beside_it_does_not():
    # The transform carries the patient away from the middle of the grid, so the grid goes after.
    matrix = np.linalg.inv(TURN) @ ijk_to_ras("oblique", "axial", (1, 1, -1))
    volume = _scanned(matrix)
    labels = scan(volume)
    node = add_segmentation(volume, {name: labels == label for label, name in NAMES.items()})
    check_segments(node, NAMES, labels)
    node.SetAndObserveTransformNodeID(None)
    with pytest.raises(AssertionError):
        check_segments(node, NAMES, labels)


def test_a_missing_voxel_is_noticed():
    volume = add_volume(
        np.zeros(shape("oblique", "axial"), np.int16), ijk_to_ras("oblique", "axial", (1, 1, 1))
    )
    labels = scan(volume)
    masks = {name: labels == label for label, name in NAMES.items()}
    masks["spleen"][tuple(np.argwhere(masks["spleen"])[0])] = False
    with pytest.raises(AssertionError, match="spleen"):
        check_segments(add_segmentation(volume, masks), NAMES, labels)
