"""However a volume is stored, its segmentation lies at the same places, voxel for voxel.

SimpleITK, which knows nothing of our views, stores the same scan in another order: all 48 orders
and directions of its axes, among them axial, coronal and sagittal storage, flips and left-handed
grids.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from small_engines import make_engine, make_model_card

from GDLACore.engine.protocol import Engine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume, ras_from_sitk, sitk_geometry
from GDLACore.model.card import IntensityProfile
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume


def rotation(degrees: float, axis: int) -> np.ndarray:
    a, b = (i for i in range(3) if i != axis)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(np.radians(degrees))
    matrix[b, a] = np.sin(np.radians(degrees))
    matrix[a, b] = -matrix[b, a]
    return matrix


GRIDS = {
    "straight": np.diag([-1.0, -1.0, 1.0]),
    "left-handed and anisotropic": np.diag([0.7, 1.1, -5.0]),
    "oblique and anisotropic": rotation(22, 0) * (0.7, 1.1, 5.0),
    "oblique twice": rotation(22, 0) @ rotation(-17, 2),
}
ORDERS = list(permutations(range(3)))
FLIPS = list(product((False, True), repeat=3))

CARDS = {
    "axial": make_model_card(input_size=32, view="transpose"),
    "coarsest": make_model_card(
        "MR", input_size=32, slice_axis="auto", intensity=IntensityProfile("zscore_volume")
    ),
}


@pytest.fixture(scope="module")
def engines():
    return {name: make_engine(card) for name, card in CARDS.items()}


def scan(grid: str) -> Volume:
    """Return noise with a bright corner: no two slices, rows or columns are alike."""
    matrix = np.eye(4)
    matrix[:3, :3] = GRIDS[grid]
    matrix[:3, 3] = (-80.5, 120.25, 933.0)
    array = np.random.default_rng(9).integers(-400, 300, (4, 23, 37))
    array[:, :9, :15] += 150
    return Volume(array.astype(np.int16), matrix, "scan")


def as_image(array: np.ndarray, ijk_to_ras: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    origin, spacing, direction = sitk_geometry(ijk_to_ras)
    result.SetOrigin(origin)
    result.SetSpacing(spacing)
    result.SetDirection(direction)
    return result


def stored_as(image: sitk.Image, order: tuple[int, ...], flips: tuple[bool, ...]) -> sitk.Image:
    return sitk.Flip(sitk.PermuteAxes(image, order), flips)


def as_volume(image: sitk.Image) -> Volume:
    return Volume(sitk.GetArrayFromImage(image), ras_from_sitk(image), "stored anew")


def check(original: Volume, engine: Engine, order: tuple, options: SegmentOptions) -> None:
    """Compare, for every flip, the segmentation stored anew with that of the scan stored anew."""
    labels = segment_volume(original, engine, options)
    assert len(np.unique(labels)) > 1
    image = as_image(original.array, original.ijk_to_ras)
    segmentation = as_image(labels, original.ijk_to_ras)
    for flips in FLIPS:
        again = as_volume(stored_as(image, order, flips))
        expected = sitk.GetArrayFromImage(stored_as(segmentation, order, flips))
        np.testing.assert_array_equal(segment_volume(again, engine, options), expected)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join("ijk"[a] for a in order))
@pytest.mark.parametrize("model", CARDS)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_scan_stored_anew_has_its_segmentation_stored_anew(grid, model, order, engines):
    check(scan(grid), engines[model], order, SegmentOptions())


def test_so_it_is_with_published_borders_and_after_cleaning(engines):
    options = SegmentOptions(borders="published", largest_component=True)
    check(scan("oblique and anisotropic"), engines["axial"], (1, 2, 0), options)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_so_it_is_with_files(suffix, tmp_path, engines):
    original = scan("oblique twice")
    labels = segment_volume(original, engines["axial"])
    image = as_image(original.array, original.ijk_to_ras)
    segmentation = as_image(labels, original.ijk_to_ras)
    order, flips = (2, 0, 1), (True, False, True)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(stored_as(image, order, flips), str(path))
    expected = sitk.GetArrayFromImage(stored_as(segmentation, order, flips))
    np.testing.assert_array_equal(segment_volume(read_volume(path), engines["axial"]), expected)


def test_slices_as_acquired_ignore_where_the_patient_lay():
    # A cardiac short axis is oblique to everything: what counts is how it was acquired.
    card = make_model_card("MR", input_size=32, slice_axis="acquisition")
    engine = make_engine(card)
    expected = segment_volume(scan("straight"), engine)
    for grid in GRIDS:
        np.testing.assert_array_equal(segment_volume(scan(grid), engine), expected)
