"""Feeding one volume to a network in every slice view and intensity profile that is thinkable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from GDLACore.calibration.certainty import Answer, condensed, joined
from GDLACore.calibration.slices import spread_slices
from GDLACore.engine.protocol import Engine
from GDLACore.errors import EngineError
from GDLACore.imaging.intensity import minmax_images, normaliser
from GDLACore.imaging.suitability import check_volume
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import DIHEDRAL_VIEWS, IntensityProfile
from GDLACore.pipeline import channels_first

SLICES = 12

_LARGEST_BATCH = 16  # logits of several slices take more memory than their labels

# In what engines say of a network that was driven beyond float32. Other failures, such as too
# little memory, are no matter of how it is fed.
_OVERFLOW = "not finite"


@dataclass(frozen=True, eq=False)
class Attempt:
    """One way to feed the network and what it answered.

    ``input_mean`` and ``input_deviation`` are those of the values it was fed.
    """

    view: str
    intensity: IntensityProfile
    answer: Answer
    input_mean: float
    input_deviation: float

    @property
    def certainty(self) -> float:
        """Return how certain the network was; see GDLACore.calibration.certainty."""
        return self.answer.certainty


@dataclass(frozen=True)
class Overflow:
    """One way to feed the network that made its results no finite numbers."""

    view: str
    intensity: IntensityProfile


@dataclass(frozen=True, eq=False)
class Trial:
    """All attempts on the stored slices ``slices`` of a volume, the most certain first.

    ``overflows`` are the ways of feeding that came to nothing; at least one attempt did not.
    """

    slices: tuple[int, ...]
    attempts: tuple[Attempt, ...]
    overflows: tuple[Overflow, ...] = ()

    def attempt(self, view: str, intensity: IntensityProfile) -> Attempt:
        """Return one attempt; raise KeyError if it was not made or came to nothing."""
        for attempt in self.attempts:
            if (attempt.view, attempt.intensity) == (view, intensity):
                return attempt
        raise KeyError((view, intensity))


def try_views(
    volume: Volume,
    engine: Engine,
    intensities: Sequence[IntensityProfile],
    *,
    slices: int = SLICES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Return what ``engine``'s network answers to all 8 views in every one of ``intensities``.

    About ``slices`` slices are used, along the card's slice axis; ``on_progress`` is told how many
    of all slices are done. The engine has its own card again afterwards.

    Raises VolumeError if the volume is not what the model is for, EngineError if the network
    cannot be run or gives no finite numbers whichever way it is fed.
    """
    card = engine.card
    check_volume(volume, card)
    chosen = spread_slices(volume, card.slice_axis, slices)
    total = len(intensities) * len(DIHEDRAL_VIEWS) * len(chosen)
    attempts: list[Attempt] = []
    overflows: list[Overflow] = []

    def done(slices: int) -> None:
        on_progress((len(attempts) + len(overflows)) * len(chosen) + slices, total)

    try:
        for intensity in intensities:
            engine.use_card(dataclasses.replace(card, intensity=intensity))
            normalise = normaliser(intensity, volume.array)
            for view in DIHEDRAL_VIEWS:
                cut = slice_view(volume, card.slice_axis, view)
                images = (
                    channels_first(normalise(cut.take(volume.array, part)), card)
                    for part in _batches(chosen, engine.batch_size)
                )
                try:
                    attempts.append(_attempt(images, engine, view, done))
                except EngineError as error:
                    if not is_overflow(error):
                        raise
                    overflows.append(Overflow(view, intensity))
                    done(0)
    finally:
        engine.use_card(card)
    if not attempts:
        raise EngineError(
            f"The network gives no finite numbers for {volume.name}, whichever way it is fed.",
            "Copy or download the model again, for it may be damaged, or try another image.",
        )
    attempts.sort(key=lambda attempt: -attempt.certainty)
    return Trial(tuple(chosen), tuple(attempts), tuple(overflows))


def is_overflow(error: EngineError) -> bool:
    """Return whether ``error`` is that the network's results were no finite numbers."""
    return _OVERFLOW in error.message


def _attempt(
    images: Iterable[np.ndarray], engine: Engine, view: str, done: Callable[[int], None]
) -> Attempt:
    """Return the attempt with ``images``, batches [n, c, h, w] already turned and scaled."""
    intensity = engine.card.intensity
    answers: list[Answer] = []
    fed: list[np.ndarray] = []
    count = 0
    for batch in images:
        answers.append(condensed(engine.scores(batch)))
        fed.append(minmax_images(batch) if intensity.kind == "minmax_image" else batch)
        count += len(batch)
        done(count)
    values = np.concatenate(fed)
    return Attempt(
        view=view,
        intensity=intensity,
        answer=joined(answers),
        input_mean=float(values.mean(dtype=np.float64)),
        input_deviation=float(values.std(dtype=np.float64)),
    )


def _batches(indices: list[int], size: int) -> Iterator[list[int]]:
    size = min(size, _LARGEST_BATCH)
    return (indices[start : start + size] for start in range(0, len(indices), size))
