from __future__ import annotations

import itertools

import numpy as np
import pytest

from GDLACore.errors import VolumeError
from GDLACore.imaging.view import DIHEDRAL_VIEWS, patient_axes, slice_view
from GDLACore.imaging.volume import Volume

RESTORINGS = list(
    itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
)


def rotation(degrees: float, axis: int) -> np.ndarray:
    a, b = (i for i in range(3) if i != axis)
    matrix = np.eye(4)
    angle = np.radians(degrees)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def volume(matrix: np.ndarray, shape: tuple[int, ...] = (5, 6, 7)) -> Volume:
    array = np.random.default_rng(1).integers(-1000, 1000, size=shape).astype(np.int16)
    return Volume(array, matrix, "scan")


def stored_as(original: Volume, order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """Return the same voxels at the same places, with array axes reordered and reversed."""
    rest = tuple(range(3, original.array.ndim))
    array = original.array.transpose(tuple(order) + rest)[
        tuple(slice(None, None, sign) for sign in signs)
    ]
    # Column a of the matrix belongs to array axis 2 - a.
    old_of_new = np.zeros((4, 4))
    old_of_new[3, 3] = 1
    for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
        old_of_new[2 - source, 2 - axis] = sign
        if sign < 0:
            old_of_new[2 - source, 3] = array.shape[axis] - 1
    matrix = original.ijk_to_ras @ old_of_new
    return Volume(np.ascontiguousarray(array), matrix, original.name)


def slices_by_place(scan: Volume, slice_axis: str, view: str) -> dict[tuple, bytes]:
    """Return every slice's picture by the place of its middle in the patient."""
    cut = slice_view(scan, slice_axis, view)
    pictures = {}
    for index in range(cut.count):
        middle = [(size - 1) / 2 for size in scan.shape]
        middle[cut.axes[0]] = index
        place = scan.ijk_to_ras @ [*middle[::-1], 1]
        picture = cut.take(scan.array, [index])[0]
        pictures[tuple(np.round(place[:3], 3) + 0.0)] = (picture.shape, picture.tobytes())
    return pictures


GEOMETRIES = {
    "straight": np.diag([-1.0, -1.0, 1.0, 1.0]),
    "anisotropic": np.diag([0.7, 0.8, 5.0, 1.0]),
    "thick coronal": np.diag([0.7, 8.0, 0.9, 1.0]),
    "oblique 22 degrees": rotation(22, 2) @ np.diag([0.7, 0.8, 3.0, 1.0]),
    "double oblique": rotation(22, 0) @ rotation(-31, 1) @ np.diag([1.0, 1.0, 8.0, 1.0]),
    "45 degrees": rotation(45, 2) @ np.diag([1.0, 1.0, 2.0, 1.0]),
    "45 degrees twice": rotation(45, 0) @ rotation(45, 2) @ np.diag([1.0, 1.0, 2.0, 1.0]),
}


@pytest.mark.parametrize("slice_axis", ["axial", "auto"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_slice_does_not_depend_on_how_the_volume_is_stored(geometry, slice_axis):
    original = volume(GEOMETRIES[geometry])
    expected = {view: slices_by_place(original, slice_axis, view) for view in DIHEDRAL_VIEWS}
    for order, signs in RESTORINGS:
        again = stored_as(original, order, signs)
        for view in DIHEDRAL_VIEWS:
            assert slices_by_place(again, slice_axis, view) == expected[view], (order, signs, view)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_labels_put_back_lie_where_their_slices_were_taken(geometry):
    original = volume(GEOMETRIES[geometry])
    for (order, signs), view in itertools.product(RESTORINGS[::5], DIHEDRAL_VIEWS):
        again = stored_as(original, order, signs)
        cut = slice_view(again, "axial", view)
        copy = np.zeros_like(again.array)
        for index in reversed(range(cut.count)):
            cut.put(copy, [index], cut.take(again.array, [index]))
        np.testing.assert_array_equal(copy, again.array)


def test_a_single_oblique_coronal_slice_keeps_its_plane_in_every_storage():
    original = volume(rotation(22, 0) @ np.diag([1.0, 9.0, 1.0, 1.0]), (6, 1, 7))
    expected = slices_by_place(original, "axial", "identity")
    for order, signs in RESTORINGS:
        again = stored_as(original, order, signs)
        assert slices_by_place(again, "axial", "identity") == expected


# Matrices whose i, j, k grow towards the letters, with the size of a voxel making no difference.
def towards(letters: str) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for column, letter in enumerate(letters):
        row = ["RL", "AP", "SI"].index(next(p for p in ("RL", "AP", "SI") if letter in p))
        matrix[row, column] = 1 if letter in "RAS" else -1
    return matrix


def test_an_axial_slice_shows_anterior_on_top_and_the_patients_right_on_the_left():
    scan = volume(towards("RAS"))
    picture = slice_view(scan, "axial", "identity").take(scan.array, [2])[0]
    # i grows to R and j to A: the display runs the other way on both.
    np.testing.assert_array_equal(picture, scan.array[2, ::-1, ::-1])


def test_a_coronal_slice_shows_superior_on_top_and_the_patients_right_on_the_left():
    scan = volume(towards("RAS") @ np.diag([1, 4, 1, 1]))
    picture = slice_view(scan, "auto", "identity").take(scan.array, [2])[0]
    np.testing.assert_array_equal(picture, scan.array[::-1, 2, ::-1])


def test_a_sagittal_slice_shows_superior_on_top_and_anterior_on_the_left():
    scan = volume(towards("RAS") @ np.diag([4, 1, 1, 1]))
    picture = slice_view(scan, "auto", "identity").take(scan.array, [2])[0]
    np.testing.assert_array_equal(picture, scan.array[::-1, ::-1, 2])


@pytest.mark.parametrize(
    ("view", "turn"),
    [
        ("identity", lambda x: x),
        ("flip_rows", np.flipud),
        ("flip_columns", np.fliplr),
        ("rotate_180", lambda x: np.rot90(x, 2)),
        ("transpose", np.transpose),
        ("rotate_90", np.rot90),
        ("rotate_270", lambda x: np.rot90(x, 3)),
        ("anti_transpose", lambda x: np.rot90(x, 2).T),
    ],
)
@pytest.mark.parametrize("slice_axis", ["axial", "acquisition"])
def test_a_view_turns_the_display_as_its_name_says(view, turn, slice_axis):
    scan = volume(towards("LPS"))
    cut = slice_view(scan, slice_axis, view)
    expected = turn(scan.array[3])
    np.testing.assert_array_equal(cut.take(scan.array, [3])[0], expected)
    assert cut.slice_shape == expected.shape


def test_acquisition_slices_are_as_stored_in_every_geometry():
    for matrix in GEOMETRIES.values():
        scan = volume(matrix)
        cut = slice_view(scan, "acquisition", "identity")
        np.testing.assert_array_equal(cut.take(scan.array, range(5)), scan.array)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [((1, 1, 2), 0), ((1, 2, 1), 1), ((2, 1, 1), 2), ((1, 1.9, 1), 0), ((1, 3, 2), 0)],
)
def test_auto_cuts_across_the_coarsest_axis_if_it_is_twice_both_others(spacing, axis):
    scan = volume(np.diag([*spacing, 1.0]))
    assert slice_view(scan, "auto", "identity").axes[0] == axis


@pytest.mark.parametrize("slice_axis", ["axial", "acquisition", "auto"])
@pytest.mark.parametrize("shape", [(1, 6, 7), (5, 1, 7), (5, 6, 1)])
def test_an_axis_of_one_slice_is_always_the_slice_axis(shape, slice_axis):
    scan = volume(np.diag([1.0, 1.0, 1.0, 1.0]), shape)
    cut = slice_view(scan, slice_axis, "identity")
    assert cut.count == 1
    assert sorted(cut.slice_shape) == sorted(size for size in shape if size > 1)


def test_one_column_of_voxels_is_cut_without_failing():
    scan = volume(np.eye(4), (5, 1, 1))
    cut = slice_view(scan, "axial", "identity")
    assert cut.count * cut.slice_shape[0] * cut.slice_shape[1] == 5
    assert cut.take(scan.array, range(cut.count)).shape == (cut.count, *cut.slice_shape)


def test_colour_channels_stay_last():
    scan = volume(towards("RAS"), (5, 6, 7, 3))
    cut = slice_view(scan, "axial", "transpose")
    np.testing.assert_array_equal(
        cut.take(scan.array, [1])[0], scan.array[1, ::-1, ::-1].transpose(1, 0, 2)
    )


@pytest.mark.parametrize("indices", [[2], range(1, 4), [0, 2, 4], slice(1, 3), np.arange(2, 5)])
def test_evenly_spaced_slices_are_views_of_the_volume(indices):
    scan = volume(towards("LPS"))
    taken = slice_view(scan, "axial", "transpose").take(scan.array, indices)
    assert np.shares_memory(taken, scan.array)


@pytest.mark.parametrize("indices", [[4, 0, 3], [2, 1, 0], [0, 1, 3], [1, 1], []])
def test_slices_come_in_the_order_asked_for(indices):
    scan = volume(towards("LPS"))
    taken = slice_view(scan, "axial", "identity").take(scan.array, indices)
    np.testing.assert_array_equal(taken, scan.array[np.array(indices, dtype=int)])


def test_an_index_outside_the_volume_is_an_error():
    scan = volume(towards("LPS"))
    for indices in ([5], [-6], [3, 4, 5], range(4, 7)):
        with pytest.raises(IndexError):
            slice_view(scan, "axial", "identity").take(scan.array, indices)


@pytest.mark.parametrize(("slice_axis", "view"), [("coronal", "identity"), ("axial", "mirror")])
def test_unknown_names_are_refused_with_the_known_ones(slice_axis, view):
    with pytest.raises(VolumeError, match="axial|identity"):
        slice_view(volume(np.eye(4)), slice_axis, view)


def test_patient_axes_survive_a_strong_tilt():
    matrix = rotation(40, 0) @ np.diag([0.5, 0.5, 10.0, 1.0])
    assert patient_axes(matrix) == ((2, 1, 0), (1, 1, 1))
