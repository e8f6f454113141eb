"""Ways to take a corrected slice to the slices beside it; the shipped one, and what it is held to.

Each is asked for the labels of the slices ``corrected`` +- 1, 2, ... on one side, nearest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from propagation_subject import Subject
from propagation_walker import walked

from GDLACore.review.propagation import (
    REACH,
    Change,
    addition,
    change_of,
    relabelled,
    scaled,
    weight,
)
from GDLACore.review.registration import carried, displacement, shrinking_of

Method = Callable[[Subject, int, Sequence[int]], Iterator[np.ndarray]]

SHIPPED = "pooling, registered"


def copied(subject: Subject, corrected: int, neighbours: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the corrected labels, unchanged."""
    for _ in neighbours:
        yield subject.corrected[corrected]


def bent(subject: Subject, corrected: int, neighbours: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the corrected labels as registration carries them, without the network."""
    image, labels = subject.images[corrected], subject.corrected[corrected]
    values = np.unique(labels)
    floor, ceiling = np.percentile(image, (1, 99))
    moving = scaled(image, floor, ceiling - floor)
    for index in neighbours:
        fixed = scaled(subject.images[index], floor, ceiling - floor)
        field = displacement(fixed, moving, shrinking_of(image.shape))
        shares = carried(np.stack([labels == value for value in values]), field)
        yield values[shares.argmax(axis=0)]


def pooled(subject: Subject, corrected: int, neighbours: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield what ships: the correction's logits, registered, weighed by distance and likeness."""
    yield from _pooled(subject, corrected, neighbours, addition)


def pooled_in_place(
    subject: Subject, corrected: int, neighbours: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield the same without registration: additions stay where they are, images still weigh."""
    yield from _pooled(subject, corrected, neighbours, _addition_in_place)


def pooled_blindly(
    subject: Subject, corrected: int, neighbours: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield the same without a look at the images: only the distance weighs."""
    yield from _pooled(subject, corrected, neighbours, _addition_blind)


METHODS: dict[str, Method] = {
    "copy": copied,
    "copy, registered": bent,
    "random walker": walked,
    "pooling, images ignored": pooled_blindly,
    "pooling, in place": pooled_in_place,
    SHIPPED: pooled,
}


def _pooled(
    subject: Subject,
    corrected: int,
    neighbours: Sequence[int],
    added: Callable[[Change, np.ndarray, float], np.ndarray],
) -> Iterator[np.ndarray]:
    one = change_of(
        subject.images[corrected],
        subject.logits[corrected],
        subject.found[corrected],
        subject.corrected[corrected],
    )
    for index in neighbours:
        if one is None:
            yield subject.found[index]
            continue
        part = added(one, subject.images[index], subject.step * abs(index - corrected))
        yield relabelled(subject.found[index], subject.logits[index], [(one, part)])


def _addition_in_place(one: Change, image: np.ndarray, distance: float) -> np.ndarray:
    return weight(one.scaled(image), one.image, distance) * one.additions


def _addition_blind(one: Change, image: np.ndarray, distance: float) -> np.ndarray:
    return np.float32(np.exp(-distance / REACH)) * one.additions
