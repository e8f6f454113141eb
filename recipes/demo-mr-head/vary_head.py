"""Make many heads of one: ch2 in other poses, sizes, shapes, fields of view and scanners.

    python recipes/demo-mr-head/vary_head.py

A network that sees one head learns it by heart. Every variant is the head turned, scaled and bent
at random, then its grey values are bent, too: another contrast of the tissues, uneven coils, noise,
slices at another distance. HELD_OUT slices take no part: a variant is made of what lies below them
or of what lies above, and where a tilted slice leaves that part it sees the last slice of it again,
image and mask alike. The same seeds make the same variants.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

DATA = Path(__file__).resolve().parent / "data"

HELD_OUT = (88, 104)  # slices of ch2 across the level of the ventricles: `validation_slices`
PARTS = ("lower", "upper")
EACH = 12
SIZE = 128

FIELD_OF_VIEW = (190.0, 290.0)  # mm
SLICE_STEP = (1.5, 4.0)  # mm
SCALE = (0.78, 1.05)  # ch2 is larger than most heads
ASPECT = (0.9, 1.1)
TURNS = (15.0, 6.0, 12.0)  # degrees at most: nodding, leaning, turning
SHIFT = 12.0  # mm
BEND = 3.0  # mm
BELOW = 40.0  # mm that the lowest slice goes on, as a neck of a kind


def main() -> None:
    """Write the variants and their masks."""
    head = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "ch2.nii.gz"))).astype(np.float32)
    stripped = sitk.ReadImage(str(DATA / "ch2bet.nii.gz"))
    brain = (sitk.GetArrayFromImage(stripped) > 0).astype(np.uint8)
    _write(brain, DATA / "ch2-brain.nii.gz", like=stripped)
    for part in PARTS:
        for number in range(1, EACH + 1):
            random = np.random.default_rng((PARTS.index(part), number))
            image, mask, spacing = _variant(head, brain, part, random)
            _write(image, DATA / f"{part}-{number:02d}.nii.gz", spacing)
            _write(mask, DATA / f"{part}-{number:02d}-brain.nii.gz", spacing)
    print(f"{len(PARTS) * EACH} variants are in {DATA}.")


def _variant(
    head: np.ndarray, brain: np.ndarray, part: str, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Return a variant's image and mask [k, j, i] and its voxel's sides i, j, k in mm."""
    first, last = (0, HELD_OUT[0] - 1) if part == "lower" else (HELD_OUT[1], len(head) - 1)
    pixel = random.uniform(*FIELD_OF_VIEW) / SIZE
    step = random.uniform(*SLICE_STEP)
    scales = random.uniform(*SCALE) * random.uniform(*ASPECT, 3)
    start = first - (BELOW if part == "lower" else 0)
    count = int((last - start) * scales[0] / step)
    places = _places((count, SIZE, SIZE), (step, pixel, pixel), scales, random)
    middle = np.array([(start + last) / 2, *((n - 1) / 2 for n in head.shape[1:])])
    middle[1:] += random.uniform(-SHIFT, SHIFT, 2)
    places += middle[:, None, None, None]
    places[0] = places[0].clip(first, last)
    image = ndimage.map_coordinates(head, places, order=1, cval=0.0)
    mask = ndimage.map_coordinates(brain, places, order=0, cval=0)
    return _recoloured(image, random), mask, (pixel, pixel, step)


def _places(
    shape: tuple[int, int, int],
    sides: tuple[float, float, float],
    scales: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Return where in the head, mm from the middle, the voxels of a variant lie: [3, k, j, i]."""
    grid = np.stack(
        np.meshgrid(
            *((np.arange(n) - (n - 1) / 2) * side for n, side in zip(shape, sides, strict=True)),
            indexing="ij",
        )
    )
    turn = np.eye(3)
    for (a, b), limit in zip(((0, 1), (0, 2), (1, 2)), TURNS, strict=True):
        angle = np.deg2rad(random.uniform(-limit, limit))
        one = np.eye(3)
        one[[a, b], [a, b]] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = one @ turn
    bend = np.stack([_smooth(shape, 5, random) for _ in range(3)]) * BEND
    return np.tensordot(turn / scales[:, None], grid, 1) + bend


def _recoloured(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the grey values as another scanner might have made them, int16."""
    image = image / 210.0  # about 1 where fat is brightest
    knots = np.array([0.0, 0.15, 0.3, 0.4, 0.5, 0.8, 1.3])
    # Air and fluid, grey matter, white matter, fat: dark to bright, but by steps of any size.
    steps = np.diff(knots) * np.exp(0.6 * random.standard_normal(len(knots) - 1))
    image = PchipInterpolator(knots, np.concatenate([[0.0], np.cumsum(steps)]))(image.clip(0, 1.3))
    image *= np.exp(0.25 * _smooth(image.shape, 3, random))
    image = ndimage.gaussian_filter(image, (0.0, *([0.8 * random.random()] * 2)))
    noise = 0.06 * random.random() ** 2 * random.standard_normal((2, *image.shape))
    image = np.hypot(image + noise[0], noise[1])
    return (image * 10 ** random.uniform(2, 3.3)).clip(0, 32_000).astype(np.int16)


def _smooth(shape: tuple[int, ...], knots: int, random: np.random.Generator) -> np.ndarray:
    """Return a smooth field of order one."""
    coarse = random.standard_normal((knots,) * 3)
    places = np.meshgrid(*(np.linspace(0, knots - 1, n) for n in shape), indexing="ij")
    return ndimage.map_coordinates(coarse, places, order=3, mode="nearest")


def _write(
    array: np.ndarray,
    path: Path,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    like: sitk.Image | None = None,
) -> None:
    picture = sitk.GetImageFromArray(array)
    if like is not None:
        picture.CopyInformation(like)
    else:
        # As ch2 is stored: from left to right, from back to front, from below.
        picture.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        picture.SetSpacing(spacing)
    sitk.WriteImage(picture, str(path))


if __name__ == "__main__":
    main()
