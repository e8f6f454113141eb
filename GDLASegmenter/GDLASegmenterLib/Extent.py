"""Extents as VTK gives them: first and last index along i, j and k, both inclusive."""

from __future__ import annotations

import math
from collections.abc import Iterator

Extent = tuple[int, int, int, int, int, int]

EMPTY: Extent = (0, -1, 0, -1, 0, -1)


def isEmpty(extent: Extent) -> bool:
    return any(extent[2 * axis] > extent[2 * axis + 1] for axis in range(3))


def union(first: Extent, second: Extent) -> Extent:
    """Return the smallest extent that holds both."""
    if isEmpty(first) or isEmpty(second):
        return second if isEmpty(first) else first
    return _combined(first, second, min, max)


def intersection(first: Extent, second: Extent) -> Extent:
    """Return what both have in common, EMPTY if nothing."""
    common = _combined(first, second, max, min)
    return EMPTY if isEmpty(common) else common


def blocks(slab: Extent, most: int) -> Iterator[Extent]:
    """Return the parts of ``slab``, not empty, each of about ``most`` voxels or of one row."""
    sizes = [slab[2 * axis + 1] - slab[2 * axis] + 1 for axis in range(3)]
    across = max(axis for axis in range(3) if sizes[axis] > 1 or axis == 0)
    rows = max(1, most * sizes[across] // math.prod(sizes))
    for first in range(slab[2 * across], slab[2 * across + 1] + 1, rows):
        last = min(first + rows - 1, slab[2 * across + 1])
        yield (*slab[: 2 * across], first, last, *slab[2 * across + 2 :])


def _combined(first: Extent, second: Extent, ofFirsts, ofLasts) -> Extent:
    return tuple(
        (ofLasts if index % 2 else ofFirsts)(first[index], second[index]) for index in range(6)
    )
