"""Slices of a volume, turned the way a model expects them, by index permutation and flips only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import DIHEDRAL_VIEWS, SLICE_AXES

# view -> (rows and columns change places, then flip rows, then flip columns)
_TURNS: dict[str, tuple[bool, bool, bool]] = {
    "identity": (False, False, False),
    "flip_rows": (False, True, False),
    "flip_columns": (False, False, True),
    "rotate_180": (False, True, True),
    "transpose": (True, False, False),
    "rotate_90": (True, True, False),  # counter-clockwise, as numpy.rot90
    "rotate_270": (True, False, True),
    "anti_transpose": (True, True, True),
}

# Radiological display: slice axis -> (row axis, sign along rows, column axis, sign along columns),
# axes R=0, A=1, S=2; the sign says whether the index grows towards R, A, S (+1) or L, P, I (-1).
_DISPLAY = {
    2: (1, -1, 0, -1),  # axial: down is posterior, right is the patient's left
    1: (2, -1, 0, -1),  # coronal: down is inferior, right is the patient's left
    0: (2, -1, 1, -1),  # sagittal: down is inferior, right is posterior
}


@dataclass(frozen=True)
class SliceView:
    """How slices are cut out of an array ``[k, j, i]`` and turned for the network.

    ``axes`` are the array axes of slice, row and column; ``flips`` says whether rows and columns
    run backwards. There are ``count`` slices of ``slice_shape`` (rows, columns). Slices keep their
    stored order; only the content of a slice is turned.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool]
    count: int
    slice_shape: tuple[int, int]

    def take(self, array: np.ndarray, indices: Sequence[int] | slice) -> np.ndarray:
        """Return slices [n, h, w] (or [n, h, w, c]) of ``array`` [k, j, i] (or [k, j, i, c]).

        The result is a view wherever the indices are evenly spaced, so nothing is copied.
        """
        return self._turned(array)[_as_slice(indices, self.count)]

    def put(self, labels: np.ndarray, indices: Sequence[int] | slice, slices: np.ndarray) -> None:
        """Write ``slices`` [n, h, w], as the network made them, into ``labels`` [k, j, i]."""
        self._turned(labels)[_as_slice(indices, self.count)] = slices

    def _turned(self, array: np.ndarray) -> np.ndarray:
        rest = tuple(range(3, array.ndim))
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array.transpose(self.axes + rest)[:, rows, columns]


def slice_view(volume: Volume, slice_axis: str, view: str) -> SliceView:
    """Return how to cut ``volume`` into slices for a model.

    ``slice_axis``: "axial" takes the array axis closest to the patient's S, "acquisition" the
    stored k axis with rows j and columns i, "auto" the coarsest axis where its spacing is at least
    twice both others and else the axial one. An axis of a single slice is always the slice axis,
    because a 2D image has no other plane. ``view``: one of DIHEDRAL_VIEWS, relative to the
    radiological display (for "acquisition": relative to the stored picture). Except for
    "acquisition", the content of a slice does not depend on how the volume is stored.

    Raises VolumeError for an unknown name.
    """
    if slice_axis not in SLICE_AXES:
        raise VolumeError(f"Unknown slice axis {slice_axis!r}.", f"Use one of {SLICE_AXES}.")
    if view not in _TURNS:
        raise VolumeError(f"Unknown slice view {view!r}.", f"Use one of {DIHEDRAL_VIEWS}.")
    if slice_axis == "acquisition":
        axes, flips = _as_stored(volume)
    else:
        axes, flips = _as_displayed(volume, slice_axis)
    swap, flip_rows, flip_columns = _TURNS[view]
    if swap:
        axes, flips = (axes[0], axes[2], axes[1]), (flips[1], flips[0])
    flips = (flips[0] ^ flip_rows, flips[1] ^ flip_columns)
    shape = volume.shape
    return SliceView(axes, flips, shape[axes[0]], (shape[axes[1]], shape[axes[2]]))


def check_slices(wanted: range, count: int, name: str) -> None:
    """Raise VolumeError unless ``wanted`` are some of the ``count`` slices of volume ``name``."""
    # The ends alone are compared: a mistyped range may have more members than memory holds.
    if not wanted or min(wanted[0], wanted[-1]) < 0 or max(wanted[0], wanted[-1]) >= count:
        raise VolumeError(
            f"{wanted.start}:{wanted.stop} is no range of slices of {name}, which has "
            f"{count} along the model's slice axis.",
            f"Choose a range within 0:{count}.",
        )


def _as_stored(volume: Volume) -> tuple[tuple[int, int, int], tuple[bool, bool]]:
    flat = _single_slice_axes(volume)
    slice_ = 0 if not flat or 0 in flat else flat[0]
    row, column = (axis for axis in range(3) if axis != slice_)
    return (slice_, row, column), (False, False)


def _as_displayed(
    volume: Volume, slice_axis: str
) -> tuple[tuple[int, int, int], tuple[bool, bool]]:
    world, signs = patient_axes(volume.ijk_to_ras)
    normal = _slice_direction(volume, slice_axis, world)
    row_world, row_sign, column_world, column_sign = _DISPLAY[normal]
    row, column = world.index(row_world), world.index(column_world)
    flips = (signs[row] != row_sign, signs[column] != column_sign)
    return (world.index(normal), row, column), flips


def _slice_direction(volume: Volume, slice_axis: str, world: tuple[int, ...]) -> int:
    """Return the patient axis (R=0, A=1, S=2) across the slices."""
    flat = {world[axis] for axis in _single_slice_axes(volume)}
    for axis in (2, 1, 0):
        if axis in flat:
            return axis
    if slice_axis == "auto":
        spacing = volume.spacing[::-1]  # [k, j, i], as the array's axes
        coarsest = int(np.argmax(spacing))
        others = [spacing[axis] for axis in range(3) if axis != coarsest]
        if spacing[coarsest] >= 2.0 * max(others) * (1.0 - 1e-6):
            return world[coarsest]
    return 2


def _single_slice_axes(volume: Volume) -> list[int]:
    return [axis for axis in range(3) if volume.shape[axis] == 1]


def patient_axes(ijk_to_ras: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return, for array axes k, j, i, the patient axis each follows (R=0, A=1, S=2) and its sign.

    The assignment is the one-to-one match with the largest sum of absolute direction cosines, so
    oblique, left-handed and anisotropic volumes work. Where two matches are equally good (45
    degrees) the directions themselves decide, never the order in which they are stored.
    """
    directions = ijk_to_ras[:3, 2::-1] / np.linalg.norm(ijk_to_ras[:3, 2::-1], axis=0)
    lines = [_line(directions[:, axis]) for axis in range(3)]
    scores = {c: sum(abs(directions[c, range(3)])) for c in permutations(range(3))}
    best = [c for c, score in scores.items() if score > max(scores.values()) - 1e-4]
    world = max(best, key=lambda c: [lines[c.index(w)] for w in (2, 1, 0)])
    signs = tuple(1 if directions[w, axis] >= 0 else -1 for axis, w in enumerate(world))
    return world, signs


def _line(direction: np.ndarray) -> tuple[float, ...]:
    """Return a direction without its sign: the first clearly non-zero component is positive."""
    rounded = np.round(direction, 3)
    leading = rounded[np.flatnonzero(rounded)[0]]
    return tuple(rounded if leading > 0 else -rounded)


def _as_slice(indices: Sequence[int] | slice, count: int) -> Sequence[int] | slice:
    """Return evenly rising indices as a slice, for which numpy needs no copy.

    Anything else stays a list, so that numpy still refuses an index outside the volume.
    """
    if isinstance(indices, slice):
        return indices
    listed = [int(index) for index in indices]
    if not listed:
        return slice(0, 0)
    step = listed[1] - listed[0] if len(listed) > 1 else 1
    inside = listed[0] >= 0 and listed[-1] < count
    if inside and step > 0 and listed == list(range(listed[0], listed[-1] + 1, step)):
        return slice(listed[0], listed[-1] + 1, step)
    return listed
