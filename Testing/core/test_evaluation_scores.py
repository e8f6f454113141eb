"""Every measure of `gdla evaluate` beside other programs' and a count by hand."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.distance import cdist

from GDLACore.errors import EvaluationError
from GDLACore.evaluation.scores import paper_score, score

pytest.importorskip("monai")

SPACINGS = ((1.0, 1.0, 1.0), (3.0, 1.0, 0.7), (5.0, 0.45, 0.45))  # along k, j, i
SHAPE = (9, 16, 18)


def blobs(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Return two masks of several parts each that overlap, and touch the image's border."""
    random = np.random.default_rng(seed)
    common = random.normal(size=shape)
    both = (common + 0.5 * random.normal(size=shape) for _ in range(2))
    prediction, reference = (ndimage.gaussian_filter(noise, 1.5) > 0.05 for noise in both)
    return prediction, reference


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_all_pairs_of_surface_voxels(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    prediction, reference = blobs(seed)
    there, back = all_pairs(prediction, reference, spacing)
    both = np.concatenate([there, back])
    found = score(prediction, reference, spacing, tolerance=1.9, voxel_ml=0.01)
    assert found.outcome == "found"
    assert found.dice == pytest.approx(
        2 * (prediction & reference).sum() / (prediction.sum() + reference.sum())
    )
    assert found.hd95 == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-6
    )
    assert found.assd == pytest.approx(both.mean(), rel=1e-6)
    assert found.nsd == pytest.approx(np.mean(both <= 1.9))
    difference = int(prediction.sum()) - int(reference.sum())
    assert found.volume_difference_ml == pytest.approx(0.01 * difference)
    assert found.volume_difference_percent == pytest.approx(100 * difference / reference.sum())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_simpleitk(seed: int, spacing: tuple[float, float, float]) -> None:
    """Its contours, distance maps and overlap; percentiles are taken of its distances."""
    prediction, reference = blobs(seed)
    images = [itk_image(mask, spacing) for mask in (prediction, reference)]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    contours = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    there, back = (distances_by_map(*pair) for pair in (contours, contours[::-1]))
    found = score(prediction, reference, spacing, tolerance=2.0)
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert found.volume_difference_percent == pytest.approx(
        100 * (prediction.sum() / reference.sum() - 1)
    )
    assert found.hd95 == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5
    )
    assert found.assd == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-5)
    assert found.nsd == pytest.approx(np.mean(np.concatenate([there, back]) <= 2.0 + 1e-5))
    # ITK's own filter has no percentile: it bounds ours, and is the largest distance of a surface.
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*contours)
    assert max(there.max(), back.max()) == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-5)
    assert found.hd95 <= hausdorff.GetHausdorffDistance() + 1e-5


@pytest.mark.parametrize("spacing", SPACINGS)
def test_scores_are_those_of_monais_own_metrics(spacing: tuple[float, float, float]) -> None:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    prediction, reference = blobs(7)
    p, r = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference))
    options = {"include_background": True, "spacing": list(spacing)}
    found = score(prediction, reference, spacing, tolerance=2.0)
    assert found.hd95 == pytest.approx(
        float(compute_hausdorff_distance(p, r, percentile=95, **options)), rel=1e-5
    )
    assert found.assd == pytest.approx(
        float(compute_average_surface_distance(p, r, symmetric=True, **options)), rel=1e-5
    )
    assert found.nsd == pytest.approx(float(compute_surface_dice(p, r, [2.0], **options)), rel=1e-5)


def test_the_papers_dice_is_monais_that_leaves_out_structures_the_reference_lacks() -> None:
    import torch
    from monai.metrics import DiceMetric

    metric = DiceMetric(include_background=True, reduction="mean_batch", get_not_nans=True)
    nothing = np.zeros(SHAPE, bool)
    pairs = [blobs(1), blobs(2), (blobs(3)[0], nothing), (nothing, blobs(4)[1]), (nothing, nothing)]
    for prediction, reference in pairs:
        p, r = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference))
        metric(y_pred=p, y=r)
    mean, count = metric.aggregate()
    ours = [paper_score(*pair).dice for pair in pairs]
    assert [dice is None for dice in ours] == [False, False, True, False, True]
    known = [dice for dice in ours if dice is not None]
    assert len(known) == int(count) and np.mean(known) == pytest.approx(float(mean))


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_hd95_joins_both_directions_in_voxels(seed: int) -> None:
    prediction, reference = blobs(seed)
    there, back = all_pairs(prediction, reference, (1.0, 1.0, 1.0))
    expected = np.percentile(np.hstack([there, back]), 95)  # as medpy.metric.binary.hd95
    assert paper_score(prediction, reference).hd95_voxels == pytest.approx(expected, rel=1e-6)


def test_a_shift_by_known_steps_is_measured_in_mm_along_its_axis() -> None:
    reference = np.zeros((12, 12, 12), bool)
    reference[3:8, 3:8, 3:8] = True
    spacing = (5.0, 2.0, 0.5)
    for axis, step in enumerate(spacing):
        moved = np.roll(reference, 2, axis)
        there, back = all_pairs(moved, reference, spacing)
        assert max(there.max(), back.max()) == 2 * step
        assert score(moved, reference, spacing, tolerance=2 * step).nsd == 1.0
        assert score(moved, reference, spacing, tolerance=1.99 * step).nsd < 1.0


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        (False, True, {"outcome": "missed", "dice": 0.0, "nsd": 0.0, "hd95": None, "assd": None,
                       "volume_difference_ml": -8.0, "volume_difference_percent": -100.0}),
        (True, False, {"outcome": "false", "dice": 0.0, "nsd": 0.0, "hd95": None, "assd": None,
                       "volume_difference_ml": 8.0, "volume_difference_percent": None}),
        (False, False, {"outcome": "absent", "dice": None, "nsd": None, "hd95": None, "assd": None,
                        "volume_difference_ml": 0.0, "volume_difference_percent": None}),
    ],
)  # fmt: skip
def test_empty_masks_are_told_and_never_become_a_distance(
    prediction: bool, reference: bool, expected: Mapping[str, object]
) -> None:
    cube = np.zeros((6, 6, 6), bool)
    cube[2:4, 2:4, 2:4] = True
    found = score(cube & prediction, cube & reference, (1, 1, 1), voxel_ml=1.0)
    assert {name: getattr(found, name) for name in expected} == expected
    assert paper_score(cube & prediction, cube & reference).hd95_voxels == 0.0


def test_what_nobody_annotated_counts_nowhere_and_has_no_surface() -> None:
    """Only every third slice is annotated, as after a quick review: contours alone count."""
    prediction, reference = blobs(5)
    ignored = np.ones(SHAPE, bool)
    ignored[1::3] = False
    found = score(prediction, reference, (3.0, 1.0, 1.0), ignored=ignored)
    seen = ~ignored
    both = (prediction & seen).sum() + (reference & seen).sum()
    assert found.dice == pytest.approx(2 * (prediction & reference & seen).sum() / both)
    contours = [
        np.stack([m & ~ndimage.binary_erosion(m) if k % 3 == 1 else m & False
                  for k, m in enumerate(mask)])
        for mask in (prediction, reference)
    ]  # fmt: skip
    there, back = pairs_of(*contours, (3.0, 1.0, 1.0))
    assert found.assd == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-6)


def test_the_cut_end_of_an_annotated_stretch_is_no_surface() -> None:
    rod = np.zeros((8, 12, 12), bool)
    rod[:, 3:9, 3:9] = True
    ignored = np.zeros(rod.shape, bool)
    ignored[4:] = True
    wide = np.zeros_like(rod)
    wide[:, 2:10, 2:10] = True
    found = score(wide, rod, (1, 1, 1), ignored=ignored, tolerance=0.5)
    # Only the image's own end is a face, where both lie; everywhere else they are 1 apart or more.
    assert found.nsd == pytest.approx((36 + 36) / (4 * 20 + 16 + 4 * 28 + 36))


def test_a_mask_without_any_surface_has_no_distances() -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[2, 2, 2] = True
    around = ~mask
    found = score(mask, mask, (1, 1, 1), ignored=around)
    assert (found.dice, found.hd95, found.nsd, found.assd) == (1.0, None, None, None)
    assert paper_score(mask, mask, ignored=around).hd95_voxels == 0.0


@pytest.mark.parametrize("axis", range(3))
def test_a_picture_has_outlines_and_not_two_faces(axis: int) -> None:
    prediction, reference = blobs(6, (20, 22))
    spacing = (0.4, 0.9)
    there, back = all_pairs(prediction, reference, spacing)
    masks = (np.expand_dims(mask, axis) for mask in (prediction, reference))
    found = score(*masks, np.insert(np.array(spacing), axis, 7.0))
    assert found.assd == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-6)


def test_a_single_voxel_is_its_own_surface() -> None:
    voxel = np.ones((1, 1, 1), bool)
    found = score(voxel, voxel, (1, 1, 1))
    assert (found.dice, found.hd95, found.nsd, found.assd) == (1.0, 0.0, 1.0, 0.0)


def test_masks_of_different_shapes_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="shapes"):
        score(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), (1, 1, 1))


def test_without_monai_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_monai(name: str, *rest: object) -> ModuleType:
        if name.startswith("monai"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_monai)
    with pytest.raises(EvaluationError, match=r"MONAI.*GDLACore\[train\]"):
        score(*blobs(1), (1, 1, 1))


def surface(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of ``mask`` with a face neighbour outside it, by shifting it about."""
    padded = np.pad(mask, 1)
    inside = padded.copy()
    for axis in range(mask.ndim):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis)
    return (padded & ~inside)[(slice(1, -1),) * mask.ndim]


def all_pairs(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    return pairs_of(surface(prediction), surface(reference), spacing)


def pairs_of(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    distance = cdist(*(np.argwhere(mask) * np.array(spacing) for mask in (first, second)))
    return distance.min(axis=1), distance.min(axis=0)


def itk_image(mask: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    # ITK's contours end at the image's border: a rim of background closes them there.
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing([float(step) for step in spacing[::-1]])
    return image


def distances_by_map(contour: sitk.Image, other: sitk.Image) -> np.ndarray:
    distance = sitk.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True)
    found = sitk.GetArrayFromImage(distance)[sitk.GetArrayFromImage(contour) > 0]
    assert not math.isnan(found.sum())
    return np.abs(found)
