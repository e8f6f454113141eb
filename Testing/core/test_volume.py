from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume, ras_from_sitk, sitk_geometry

OBLIQUE = np.array(
    [
        [0.6, -1.2, 0.3, 10.0],
        [0.8, 0.9, 0.1, -20.0],
        [0.0, 0.2, -3.0, 30.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def volume(array: np.ndarray | None = None, matrix: np.ndarray | None = None) -> Volume:
    array = np.zeros((2, 3, 4), np.int16) if array is None else array
    return Volume(array, np.eye(4) if matrix is None else matrix, "scan")


def test_spacing_is_the_length_of_each_axis_in_ijk_order():
    assert volume(matrix=OBLIQUE).spacing == pytest.approx(
        tuple(np.linalg.norm(OBLIQUE[:3, :3], axis=0))
    )


def test_the_voxel_volume_is_in_millilitres_whatever_the_handedness():
    assert volume(matrix=np.diag([2.0, -5.0, 10.0, 1.0])).voxel_volume_ml == pytest.approx(0.1)


def test_colour_has_three_channels_and_grey_has_one():
    assert volume().channels == 1
    assert volume(np.zeros((2, 3, 4, 3), np.uint8)).channels == 3


def test_the_shape_of_a_colour_volume_leaves_out_the_channels():
    assert volume(np.zeros((2, 3, 4, 3), np.uint8)).shape == (2, 3, 4)


def test_the_matrix_is_a_private_read_only_copy():
    matrix = np.eye(4)
    scan = volume(matrix=matrix)
    matrix[0, 0] = 7
    assert scan.ijk_to_ras[0, 0] == 1
    with pytest.raises(ValueError):
        scan.ijk_to_ras[0, 0] = 7


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((3, 4)), "dimensions"),
        (np.zeros((2, 2, 2, 2, 3)), "dimensions"),
        (np.zeros((0, 3, 4)), "no voxels"),
        (np.zeros((2, 3, 4, 2)), "2 values"),
        (np.zeros((2, 3, 4, 4)), "4 values"),
        (np.zeros((2, 3, 4), np.complex64), "complex64"),
        (np.full((2, 3, 4), "a"), "type"),
        (np.full((2, 3, 4), None), "object"),
        ([[[0]]], "list"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array, word):
    with pytest.raises(VolumeError, match=word):
        volume(array)


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.0, 1.0, 0.0, 1.0]),
        np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        np.diag([1.0, np.nan, 1.0, 1.0]),
        np.diag([1.0, np.inf, 1.0, 1.0]),
        np.eye(3),
        np.diag([1.0, 1.0, 1.0, 2.0]),
        np.diag([1e150, 1e150, 1e150, 1.0]),
    ],
)
def test_a_geometry_that_does_not_span_space_is_refused(matrix):
    with pytest.raises(VolumeError, match="geometry of scan"):
        volume(matrix=matrix)


def test_a_very_small_spacing_is_not_mistaken_for_a_singular_geometry():
    assert volume(matrix=np.diag([1e-4, 1e-4, 1e-4, 1.0])).voxel_volume_ml == pytest.approx(1e-15)


def test_an_image_written_with_our_geometry_has_the_same_points_in_itk():
    image = SimpleITK.Image([4, 3, 2], SimpleITK.sitkInt16)
    turn, _ = np.linalg.qr(OBLIQUE[:3, :3])
    matrix = OBLIQUE.copy()
    matrix[:3, :3] = turn * [0.7, 0.8, 5.0]
    origin, spacing, direction = sitk_geometry(matrix)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    x, y, z = image.TransformIndexToPhysicalPoint((3, 2, 1))
    np.testing.assert_allclose(matrix @ [3, 2, 1, 1], [-x, -y, z, 1])
    np.testing.assert_allclose(ras_from_sitk(image), matrix)


def test_a_two_dimensional_image_lies_in_the_axial_plane():
    image = SimpleITK.Image([4, 3], SimpleITK.sitkUInt8)
    image.SetSpacing([0.5, 0.25])
    np.testing.assert_allclose(ras_from_sitk(image), np.diag([-0.5, -0.25, 1.0, 1.0]))
