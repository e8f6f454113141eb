"""Arms beside the body, as in trauma and PET-CT scans, for volumes taken with the arms raised."""

from __future__ import annotations

import torch
from torch import Tensor

SOFT_TISSUE = -200.0  # HU; below it is air
FAT, MUSCLE, BONE = -95.0, 55.0, 500.0


def add_arms(
    image: Tensor, target: Tensor, bone: int, pixel: float, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return ``image`` [1, h, w] in HU and ``target`` [h, w] with an arm on each side of the body.

    An arm is an ellipse of fat around muscle around a bone, which is labelled ``bone``; ``pixel``
    is the pixel's side in mm. Arms fill air only, so they never hide anatomy.
    """
    height, width = target.shape
    tissue = image[0] > SOFT_TISSUE
    columns, rows = tissue.sum(0) > 4, tissue.sum(1) > 4
    if not (columns.any() and rows.any()):
        return image, target
    image, target = image.clone(), target.clone()
    first, last = (int(columns.nonzero()[i]) for i in (0, -1))
    top, bottom = (int(rows.nonzero()[i]) for i in (0, -1))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for edge, side in ((first, -1), (last, 1)):
        u = torch.rand(6, generator=random)
        radius = (32 + 20 * u[0]) / pixel
        gap = (radius + (2 + 20 * u[1]) / pixel) * side
        centre = top + (bottom - top) * (0.3 + 0.5 * u[2])
        slant = 0.8 + 0.5 * u[3]
        distance = torch.hypot((x - edge - gap) * slant, (y - centre) / slant)
        air = image[0] < SOFT_TISSUE
        for reach, hu in ((1.0, FAT), (0.75 + 0.15 * u[4], MUSCLE), (0.25, BONE * (0.7 + u[5]))):
            inside = (distance < reach * radius) & air
            image[0][inside] = hu
        bones = (distance < 0.25 * radius) & air
        target[bones] = bone
    return image, target
