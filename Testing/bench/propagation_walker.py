"""The random walker as it would carry a correction, from each slice to the next.

Grady, "Multilabel random walker image segmentation using prior models", CVPR 2005: in each slice
the probabilities x of a class solve (L + W + g) x = W y + g p, where L is the Laplacian of the
slice's pixels, joined the stronger the more alike their grey values are; y are the probabilities in
the slice before, joined by W in the same way; and p are the network's. The walk begins from the
corrected slice, as far as ``_GATE`` around what was changed: farther away all stays the network's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from propagation_subject import Subject
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from scipy.special import softmax

# The best of the combinations that were tried on the volume that fixed the shipped parameters.
_CONTRAST = 200.0  # of squared differences of grey values in 0..1
_NETWORK = 0.2  # g
_TEMPERATURE = 4.0  # of the network's softmax: as it is, it is nearly always sure
_LINK = 0.3  # of W, between slices, to the links within one
_GATE = 2.0  # pixels
_LEAST_GATE = 0.02
_LONGEST_SIDE = 256
_FLOOR = 1e-4  # no two pixels are quite apart


def walked(subject: Subject, corrected: int, neighbours: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the labels of ``neighbours``, each from those of the one before; see the methods."""
    found, labels = subject.found[corrected], subject.corrected[corrected]
    changed = found != labels
    if not changed.any():
        yield from (subject.found[index] for index in neighbours)
        return
    every = -(-max(labels.shape) // _LONGEST_SIDE)
    gate = np.exp(-(ndimage.distance_transform_edt(~changed) ** 2) / (2 * _GATE**2))
    box = _box(gate > _LEAST_GATE)
    coarse = tuple(slice(side.start, side.stop, every) for side in box)
    low, high = np.percentile(subject.images[corrected], (1, 99))
    before = (subject.images[corrected][coarse] - low) / (high - low)
    classes = subject.logits.shape[1]
    known = (labels[coarse] == np.arange(classes)[:, None, None]).reshape(classes, -1)
    for index in neighbours:
        image = (subject.images[index][coarse] - low) / (high - low)
        logits = subject.logits[index][:, coarse[0], coarse[1]]
        prior = softmax(logits / _TEMPERATURE, axis=0).reshape(classes, -1)
        joined = (_LINK * gate[coarse] * np.exp(-_CONTRAST * (image - before) ** 2)).ravel()
        known = _solved(image, joined, known, prior)
        fine = known.argmax(axis=0).reshape(image.shape).repeat(every, 0).repeat(every, 1)
        result = subject.found[index].copy()
        inside = gate[box] > _LEAST_GATE
        result[box][inside] = fine[: inside.shape[0], : inside.shape[1]][inside]
        yield result
        before = image


def _solved(
    image: np.ndarray, joined: np.ndarray, known: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Return the probabilities [classes, pixels] of a slice."""
    number = np.arange(image.size).reshape(image.shape)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    flat = image.ravel()
    weights = np.exp(-_CONTRAST * (flat[first] - flat[second]) ** 2) + _FLOOR
    links = sparse.coo_matrix((weights, (first, second)), (image.size, image.size)).astype(float)
    links = links + links.T
    diagonal = np.asarray(links.sum(axis=1)).ravel() + joined + _NETWORK
    system = (sparse.diags(diagonal) - links).tocsc()
    return splu(system).solve((joined * known + _NETWORK * prior).T.astype(float)).T


def _box(inside: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in (rows, columns))
