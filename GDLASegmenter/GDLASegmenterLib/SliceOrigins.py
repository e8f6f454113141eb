"""By which versions of a model the slices of a segmentation were made, and whether by it alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from GDLASegmenterLib.NotedGrid import Place, axisMap, matrixOf, noteOf, placeOn, referenceOf
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_ATTRIBUTE = "GDLA.Origins"


@dataclass(frozen=True)
class SliceOrigin:
    """The ``versions`` of the model that a slice is of: several where the last wrote a part of it.

    ``isPropagated``: it was made with corrections of other slices, which are the user's work.
    """

    versions: frozenset[str]
    isPropagated: bool

    def over(self, before: SliceOrigin | None) -> SliceOrigin:
        """Return the origin of a slice that is partly of this one, and else as it was before."""
        if before is None:
            return self
        isPropagated = self.isPropagated or before.isPropagated
        return SliceOrigin(self.versions | before.versions, isPropagated)


def readOrigins(segmentationNode, grid: VolumeGrid, model: str) -> dict[Place, SliceOrigin]:
    """Return what is known of ``model``'s slices, by array axis and index on ``grid``."""
    return dict(_readAll(segmentationNode, grid).get(model, {}))


def areOriginsNoted(segmentationNode, grid: VolumeGrid, model: str) -> bool:
    """Whether anything is noted of ``model``: a slice without an origin is no run's then."""
    return model in _readAll(segmentationNode, grid)


def noteOrigins(
    segmentationNode, grid: VolumeGrid, model: str, origins: Mapping[Place, SliceOrigin | None]
) -> None:
    """Note where slices of ``model``'s segments are from now; None takes back what was noted."""
    known = _readAll(segmentationNode, grid)
    slices = {**known.get(model, {}), **origins}
    found = {**known, model: {place: one for place, one in slices.items() if one is not None}}
    if found == known:
        return
    note = noteOf(segmentationNode, grid) | {
        "slices": {name: _runsOf(slices) for name, slices in sorted(found.items())}
    }
    segmentationNode.SetAttribute(_ATTRIBUTE, json.dumps(note, separators=(",", ":")))


def _readAll(segmentationNode, grid: VolumeGrid) -> dict[str, dict[Place, SliceOrigin]]:
    text = segmentationNode.GetAttribute(_ATTRIBUTE)
    if not text:
        return {}
    return _originsOn(text, matrixOf(grid), tuple(grid.shape), referenceOf(segmentationNode))


@lru_cache(maxsize=4)
def _originsOn(
    text: str, matrix: bytes, shape: tuple[int, int, int], reference: str
) -> dict[str, dict[Place, SliceOrigin]]:
    note = json.loads(text)
    steps = axisMap(note, matrix, shape, reference)
    if steps is None:
        return {}
    return {
        model: {
            placeOn(axis, index, steps): origin
            for axis, first, last, *parts in runs
            for origin in [SliceOrigin(frozenset(parts[0]), parts[1])]
            for index in range(first, last + 1)
        }
        for model, runs in note["slices"].items()
    }


def _runsOf(slices: Mapping[Place, SliceOrigin]) -> list[tuple]:
    """Return axis, first, last, versions, isPropagated of neighbors of the same origin together."""
    runs: list[tuple] = []
    for (axis, index), one in sorted(slices.items(), key=lambda item: item[0]):
        what = sorted(one.versions), one.isPropagated
        if runs and (runs[-1][0], *runs[-1][2:]) == (axis, index - 1, *what):
            runs[-1] = axis, runs[-1][1], index, *what
        else:
            runs.append((axis, index, index, *what))
    return runs
