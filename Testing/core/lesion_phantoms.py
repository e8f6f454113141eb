"""Drawn pictures of lesions nobody has, in the layouts of BUSI, HAM10000 and PH2.

No package that can be redistributed holds a labelled ultrasound or skin picture. What is learnt
from these tells whether the way from a folder of pictures to a segmentation works, and nothing
about patients.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

SHAPE = (72, 96)


def write_ultrasound(folder: Path, numbers: range) -> list[str]:
    """Write pictures and masks as BUSI does; return the pictures' ids."""
    return _write(folder, numbers, _ultrasound, "phantom-lesion ({}).png", "{}_mask.png")


def write_dermoscopy(folder: Path, numbers: range) -> list[str]:
    """Write pictures and masks as PH2 does; return the pictures' ids."""
    return _write(folder, numbers, _skin, "phantom-lesion-{}.bmp", "{}_lesion.bmp")


def write_photographs(folder: Path, numbers: range) -> list[str]:
    """Write pictures and masks as HAM10000 does; return the pictures' ids."""
    return _write(folder, numbers, _skin, "phantom-lesion-{}.jpg", "{}_segmentation.png")


def _write(
    folder: Path,
    numbers: range,
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    picture: str,
    mask: str,
) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number in numbers:
        random = np.random.default_rng(number)
        lesion = _lesion(random)
        path = folder / picture.format(number)
        levels = np.rint(draw(lesion, random)).clip(0, 255).astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(levels, isVector=True), str(path))
        white = sitk.GetImageFromArray(255 * lesion.astype(np.uint8))
        sitk.WriteImage(white, str(folder / mask.format(path.stem)))
        names.append(path.stem)
    return names


def _lesion(random: np.random.Generator) -> np.ndarray:
    """Return a wavy ellipse anywhere in the picture, bool [h, w]."""
    height, width = SHAPE
    j, i = np.mgrid[:height, :width]
    j = j - random.uniform(0.35, 0.65) * height
    i = i - random.uniform(0.35, 0.65) * width
    angle = np.arctan2(j, i)
    radius = random.uniform(12, 22) * (1 + 0.12 * np.sin(3 * angle + random.uniform(0, 6)))
    return np.hypot(j * random.uniform(0.9, 1.4), i) < radius


def _ultrasound(lesion: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return speckle in layers, darker within the lesion, as three equal channels [h, w, 3]."""
    depth = np.linspace(0, 3, lesion.shape[0])[:, None]
    echo = 110 + 30 * np.sin(4 * depth + random.uniform(0, 6)) - 15 * depth
    echo = echo * (1 - 0.7 * ndimage.gaussian_filter(lesion.astype(float), 1))
    speckle = ndimage.gaussian_filter(random.rayleigh(0.8, lesion.shape), (0.5, 1.0))
    return np.repeat((echo * speckle)[..., None], 3, axis=2)


def _skin(lesion: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a brown spot on rosy skin with a few hairs, [h, w, 3]."""
    soft = ndimage.gaussian_filter(lesion.astype(float), 1.5)[..., None]
    skin = np.array([225.0, 175.0, 160.0]) * random.uniform(0.8, 1.1)
    spot = np.array([120.0, 75.0, 60.0]) * random.uniform(0.7, 1.2)
    picture = skin + (spot - skin) * soft
    picture += 8 * ndimage.gaussian_filter(random.standard_normal(picture.shape), (1, 1, 0))
    for _ in range(4):
        columns = np.arange(lesion.shape[1])
        rows = random.uniform(0, 70) + random.uniform(-0.5, 0.5) * columns
        inside = (rows >= 0) & (rows < lesion.shape[0])
        picture[rows[inside].astype(int), columns[inside]] = (50, 35, 30)
    return picture
