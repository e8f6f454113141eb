"""Training slices cut through a volume in random planes: every sample shows new anatomy.

One patient gives a hundred axial slices, and a network learns them by heart. Here each sample is a
plane through the volume under a random rotation, tilt, anisotropic scaling, shift and smooth
deformation, at a random field of view and slice thickness. The volume is sampled once, directly on
the network's grid, so this costs a few milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

AIR = -1024.0


@dataclass(frozen=True)
class ResliceRanges:
    """How far a sample may be from an axial slice. Lengths in mm, angles in degrees."""

    field_of_view: tuple[float, float] = (300.0, 530.0)
    in_plane_rotation: float = 12.0
    tilt: float = 8.0
    scale: tuple[float, float] = (0.85, 1.3)
    shift: float = 40.0
    deformation: float = 9.0
    thickness: float = 8.0


@dataclass(frozen=True)
class TrainingVolume:
    """A volume ready for random slicing.

    Attributes:
        channels: float32 [1, C, D, H, W]; sampled linearly (the image).
        maps: float32 [1, M, D, H, W]; sampled by nearest neighbour (labels, structure numbers).
        ras_to_ijk: [4, 4].
        slice_axis: which of i, j, k (0, 1, 2) counts the slices; beyond the first and the last
            slice a tilted plane sees that slice again, not a body cut off in mid-air.
        centres: [n, 3] RAS positions, mm, one per stored slice that may be a sample's centre.
    """

    channels: Tensor
    maps: Tensor
    ras_to_ijk: Tensor
    slice_axis: int
    centres: Tensor


def reslice(
    volume: TrainingVolume, size: int, ranges: ResliceRanges, random: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Return one random slice: image [C, size, size], maps [M, size, size], the pixel's side in mm.

    Rows run from anterior to posterior, columns from the patient's right to left.
    Outside the volume the image is air and the maps are 0.
    """
    pixel = _uniform(*ranges.field_of_view, random) / size
    plane = _plane(size, pixel, ranges, random) @ _tilt(ranges, random).T
    plane = plane + _deformation(size, ranges, random)
    centre = volume.centres[_integer(len(volume.centres), random)]
    shift = torch.cat([_normal(2, random).clamp(-2, 2) * ranges.shift / 2, torch.zeros(1)])
    positions = plane + centre + shift
    image = _sample(volume, volume.channels - AIR, positions, "bilinear") + AIR
    thickness = _uniform(0.0, ranges.thickness, random) if _chance(0.4, random) else 0.0
    if thickness > 0:
        for side in (-0.5, 0.5):
            step = torch.tensor([0.0, 0.0, side * thickness])
            image = (
                image + _sample(volume, volume.channels - AIR, positions + step, "bilinear") + AIR
            )
        image = image / 3
    return image, _sample(volume, volume.maps, positions, "nearest"), pixel


def _plane(size: int, pixel: float, ranges: ResliceRanges, random: torch.Generator) -> Tensor:
    """Return RAS offsets, mm, [size, size, 3], of the pixels of a scaled axial plane."""
    offset = (torch.arange(size) - (size - 1) / 2) * pixel
    # One scale for the patient, and a little for the shape of the body.
    whole = _log_uniform(*ranges.scale, random)
    row_scale, column_scale = (whole * _log_uniform(0.9, 1.1, random) for _ in range(2))
    rows, columns = torch.meshgrid(-offset / row_scale, -offset / column_scale, indexing="ij")
    return torch.stack([columns, rows, torch.zeros(size, size)], dim=-1)


def _tilt(ranges: ResliceRanges, random: torch.Generator) -> Tensor:
    """Return a random 3 x 3 rotation: free about the body's axis, small about the others."""
    limits = (ranges.tilt, ranges.tilt, ranges.in_plane_rotation)
    rotation = torch.eye(3)
    for axis, limit in enumerate(limits):
        angle = math.radians(limit) * float(_normal(1, random).clamp(-2, 2)) / 1.5
        a, b = [i for i in range(3) if i != axis]
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        rotation = turn @ rotation
    return rotation


def _deformation(size: int, ranges: ResliceRanges, random: torch.Generator) -> Tensor:
    """Return a smooth displacement field, mm, [size, size, 3]."""
    knots = 4 + _integer(4, random)
    amplitude = _uniform(0.0, ranges.deformation, random)
    coarse = amplitude * _normal(3 * knots * knots, random).reshape(1, 3, knots, knots)
    fine = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return fine[0].permute(1, 2, 0)


def _sample(volume: TrainingVolume, data: Tensor, positions: Tensor, mode: str) -> Tensor:
    """Return ``data`` [1, C, D, H, W] at RAS ``positions`` [h, w, 3], zero outside: [C, h, w]."""
    ijk = positions @ volume.ras_to_ijk[:3, :3].T + volume.ras_to_ijk[:3, 3]
    last = torch.tensor(data.shape[:1:-1]) - 1
    axis = volume.slice_axis
    ijk[..., axis] = ijk[..., axis].clamp(0, int(last[axis]))
    grid = 2 * ijk / last.clamp(min=1) - 1
    return F.grid_sample(data, grid[None, None], mode, align_corners=True)[0, :, 0]


def _chance(probability: float, random: torch.Generator) -> bool:
    return float(torch.rand(1, generator=random)) < probability


def _integer(stop: int, random: torch.Generator) -> int:
    return int(torch.randint(stop, (1,), generator=random))


def _uniform(low: float, high: float, random: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=random))


def _log_uniform(low: float, high: float, random: torch.Generator) -> float:
    return math.exp(_uniform(math.log(low), math.log(high), random))


def _normal(count: int, random: torch.Generator) -> Tensor:
    return torch.randn(count, generator=random)
