"""Extents as VTK gives them: first and last index along i, j and k, both inclusive."""

from __future__ import annotations

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


def _combined(first: Extent, second: Extent, ofFirsts, ofLasts) -> Extent:
    return tuple(
        (ofLasts if index % 2 else ofFirsts)(first[index], second[index]) for index in range(6)
    )
