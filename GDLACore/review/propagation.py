"""What a corrected slice tells the network of the slices beside it.

Where the user disagreed with the network, its logits fell short of the user's label by some amount.
Twice that amount and a margin is what the correction *adds* to the logits of that label; twice,
because half of it must do at the edges, which are blurred. In a neighbouring slice the network is
likely to err in the same way at the same place: the addition is carried there by registration of
the two slices, and counts the less, the farther the slice is and the less the images agree after
registration. In terms of probabilities this is log-linear pooling of the network with what the
correction says against it (Genest and Zidek, Statistical Science 1 (1986) 114-135,
doi:10.1214/ss/1177013825). Where the user changed nothing, nothing is added: a slice that is the
network's leaves its neighbours the network's. docs/review.md tells what else was tried, and what
this gains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from GDLACore.engine.confidence import margin
from GDLACore.review.registration import carried, displacement, shrinking_of

# All were fixed on one volume and tested on others: Testing/bench/propagation.py.
_MARGIN = 2.0  # logits, beyond what is enough on the corrected slice
_BLUR = 1.0  # pixels
REACH = 30.0  # mm: over which the weight falls to 1/e
_UNLIKE = 0.15  # of the range of grey values: the standard deviation of what still is alike
_PATCH = 1.5  # pixels: standard deviation of the window over which images are compared

_SURROUNDINGS = 32  # pixels around what was changed, within which slices are registered
_LEAST = 0.01  # logits: below, nothing is changed


@dataclass(frozen=True, eq=False)
class Change:
    """What a corrected slice adds to the logits, within ``box``, where the user changed something.

    ``additions`` are float32 [n, h, w] for the classes ``classes``; ``image`` [h, w] is the slice
    there, scaled from ``floor`` and ``extent`` of the grey values to 0..1.
    """

    box: tuple[slice, slice]
    classes: tuple[int, ...]
    additions: np.ndarray
    image: np.ndarray
    floor: float
    extent: float
    shrinking: int

    def scaled(self, image: np.ndarray) -> np.ndarray:
        """Return what another slice, float32 [h, w], shows in the box, on the scale of this one."""
        return scaled(image[self.box], self.floor, self.extent)


def change_of(
    image: np.ndarray, logits: np.ndarray, labels: np.ndarray, corrected: np.ndarray
) -> Change | None:
    """Return what the user's labels ``corrected`` [h, w] tell that the network's did not.

    ``image`` is the slice, float32 [h, w]; ``logits`` [classes, h, w] and ``labels`` [h, w] are the
    network's. None if nothing was corrected.
    """
    changed = corrected != labels
    if not changed.any():
        return None
    box = _around(changed)
    inside, wanted, changed = logits[:, box[0], box[1]], corrected[box], changed[box]
    own = np.take_along_axis(inside, wanted[np.newaxis].astype(np.intp), axis=0)[0]
    added = np.where(changed, 2 * (inside.max(axis=0) - own) + _MARGIN, 0).astype(np.float32)
    classes = tuple(int(value) for value in np.unique(wanted[changed]))
    additions = [
        gaussian_filter(np.where(wanted == value, added, 0), _BLUR, mode="nearest")
        for value in classes
    ]
    floor, ceiling = (float(value) for value in np.percentile(image, (1, 99)))
    extent = ceiling - floor or 1.0
    grey = scaled(image[box], floor, extent)
    shrinking = shrinking_of(image.shape)
    return Change(box, classes, np.stack(additions), grey, floor, extent, shrinking)


def addition(change: Change, image: np.ndarray, distance: float) -> np.ndarray:
    """Return what ``change`` adds to the logits of another slice, float32 [n, h, w] of its box.

    ``image`` is that slice, float32 [h, w], whole, and lies ``distance`` mm away.
    """
    fixed = change.scaled(image)
    field = displacement(fixed, change.image, change.shrinking)
    moved, *additions = carried(np.concatenate([change.image[np.newaxis], change.additions]), field)
    return weight(fixed, moved, distance) * np.stack(additions)


def weight(fixed: np.ndarray, moved: np.ndarray, distance: float) -> np.ndarray:
    """Return how much a correction counts, 0..1, where ``moved`` [h, w] lies on ``fixed``."""
    unlike = gaussian_filter((fixed - moved) ** 2, _PATCH, mode="nearest")
    return np.exp(-unlike / (2 * _UNLIKE**2) - distance / REACH)


def relabelled(
    labels: np.ndarray, logits: np.ndarray, additions: list[tuple[Change, np.ndarray]]
) -> np.ndarray:
    """Return the network's ``labels`` [h, w], decided anew where something was added.

    ``logits`` [classes, h, w] are the network's; all else stays as it is, to the bit.
    """
    result, (pooled, touched) = labels.copy(), _pooled(logits, additions)
    result[touched] = pooled.argmax(axis=0)
    return result


def reassured(
    confidence: np.ndarray, logits: np.ndarray, additions: list[tuple[Change, np.ndarray]]
) -> np.ndarray:
    """Return the ``confidence`` [h, w] of what ``relabelled`` returns; see ``engine.confidence``.

    That of the network, and of the logits with what was added where something was.
    """
    result, (pooled, touched) = confidence.copy(), _pooled(logits, additions)
    result[touched] = margin(pooled)
    return result


def _pooled(
    logits: np.ndarray, additions: list[tuple[Change, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the new logits [classes, n] where something was added, and where, bool [h, w]."""
    logits, touched = logits.copy(), np.zeros(logits.shape[1:], bool)
    for one, added in additions:
        rows, columns = one.box
        for value, part in zip(one.classes, added, strict=True):
            logits[value, rows, columns] += part
        touched[one.box] |= (added > _LEAST).any(axis=0)
    return logits[:, touched], touched


def _around(changed: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    return tuple(
        slice(max(0, int(places[0]) - _SURROUNDINGS), int(places[-1]) + _SURROUNDINGS + 1)
        for places in (rows, columns)
    )


def scaled(image: np.ndarray, floor: float, extent: float) -> np.ndarray:
    """Return grey values as 0..1, and not far beyond: metal and noise must not decide."""
    return np.clip((image - np.float32(floor)) / np.float32(extent), -0.2, 1.2)
