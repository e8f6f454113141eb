"""From a volume and a loaded model to labels, slice by slice, the most wanted slices first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from GDLACore.arrivals import arrivals
from GDLACore.engine.protocol import Engine, label_type
from GDLACore.imaging.components import keep_largest_components
from GDLACore.imaging.intensity import Normaliser, normaliser
from GDLACore.imaging.suitability import check_values, check_volume
from GDLACore.imaging.view import SliceView, check_slices, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions

_EVERYTHING = SegmentOptions()
_NO_CORRECTIONS: Mapping[int, np.ndarray] = MappingProxyType({})

# More slices than this at once give no GPU more speed but delay the first result and cancelling.
_LARGEST_BATCH = 64


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps: slices ("segmenting") or structures ("cleaning").

    It may come again with nothing new in it, to whoever waits for slices and may want to stop.
    """

    phase: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]

# From stored slices to their labels.
_Work = Callable[[Sequence[int]], "SliceResult"]


def _ignore(progress: Progress) -> None:
    pass


@dataclass(frozen=True, eq=False)
class SliceResult:
    """Finished labels of some slices.

    ``indices`` are stored slices along ``view``'s slice axis and ``labels`` [n, h, w] their labels,
    turned as the network saw them; ``view.put(volume_labels, indices, labels)`` stores them.
    ``confidence``, if it was asked for, is float16 [n, h, w], turned as the labels are, and stored
    in the same way; see ``Engine.predict_with_confidence``.
    """

    indices: tuple[int, ...]
    labels: np.ndarray
    view: SliceView
    confidence: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A volume that suits ``card``'s model, with what must be known of it as a whole.

    Checks and statistics take as long as several slices: whoever wants single slices later, one
    after the other, prepares the volume once.
    """

    volume: Volume
    card: ModelCard
    view: SliceView
    normalise: Normaliser

    @property
    def count(self) -> int:
        """Return how many slices there are."""
        return self.view.count

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """Return slices, float32 [n, c, h, w], as ``Engine.predict`` takes them.

        Raises VolumeError if one of ``indices`` is none of the volume's slices.
        """
        for index in indices:
            check_slices(range(index, index + 1), self.count, self.volume.name)
        slices = self.normalise(self.view.take(self.volume.array, indices))
        return channels_first(slices, self.card)


def prepare(volume: Volume, card: ModelCard) -> PreparedVolume:
    """Return ``volume``, checked and ready for ``card``'s model.

    Raises VolumeError if it does not suit the model.
    """
    check_volume(volume, card)
    view = slice_view(volume, card.slice_axis, card.view)
    check_values(volume, card)
    return PreparedVolume(volume, card, view, normaliser(card.intensity, volume.array))


def segment_slices(
    prepared: PreparedVolume, engine: Engine, indices: Sequence[int], borders: str
) -> SliceResult:
    """Return the labels of the stored slices ``indices``, in that order.

    Raises VolumeError if one is none of the volume's, EngineError if the network cannot be run.
    """
    labels = engine.predict(prepared.images(indices), borders)
    return SliceResult(tuple(indices), labels, prepared.view)


def segment_slices_with_confidence(
    prepared: PreparedVolume, engine: Engine, indices: Sequence[int], borders: str
) -> SliceResult:
    """Return what ``segment_slices`` returns, with the labels' confidence."""
    labels, confidence = engine.predict_with_confidence(prepared.images(indices), borders)
    return SliceResult(tuple(indices), labels, prepared.view, confidence)


def segment_batches(
    prepared: PreparedVolume,
    engine: Engine,
    batches: Iterator[Sequence[int]],
    options: SegmentOptions,
) -> Iterator[SliceResult | None]:
    """Yield the labels of each of ``batches`` of stored slices, as ``options`` say them.

    One after the other; or, from an engine that takes several at a time, in the order of arrival,
    with None a few times a second while none arrives. Closing the iterator waits for none.

    Raises what ``segment_slices`` raises.
    """
    work = _work(prepared, engine, options)
    return _results(engine, batches, work, lambda: engine.in_flight)


def segment(
    volume: Volume,
    engine: Engine,
    options: SegmentOptions = _EVERYTHING,
    corrections: Mapping[int, np.ndarray] = _NO_CORRECTIONS,
) -> Iterator[Progress | SliceResult]:
    """Segment ``volume``: return an iterator over each finished batch, and after it the progress.

    The caller may stop iterating at any time; nothing needs to be cleaned up. Batches come in the
    order of ``options``, or in that of arrival from an engine that takes several at a time; while
    none arrives, the progress comes again. Post-processing over the whole volume is
    ``segment_volume``'s business. ``corrections`` are what the user made of slices, which tells of
    the slices between and beside them: see ``review.corrections``.

    Raises VolumeError, at once, if the volume does not suit the model or the options or the
    corrections do not suit the volume; the iterator raises EngineError if the network cannot be
    run.
    """
    return segment_prepared(prepare(volume, engine.card), engine, options, corrections)


def segment_prepared(
    prepared: PreparedVolume,
    engine: Engine,
    options: SegmentOptions = _EVERYTHING,
    corrections: Mapping[int, np.ndarray] = _NO_CORRECTIONS,
) -> Iterator[Progress | SliceResult]:
    """Segment as ``segment`` does what was prepared for ``engine``'s card before."""
    indices = _requested(options, prepared)
    work = _work(prepared, engine, options)
    if not corrections:
        return _segment(engine, options, indices, work, lambda: engine.in_flight)
    # Only here: it needs libraries that take long to import.
    from GDLACore.review.corrections import Corrections

    ready = Corrections(prepared, engine, options.borders, corrections)
    # One by one: registration takes longer than the network, and cancelling must not wait for it.
    options = dataclasses.replace(options, batch_size=1)
    # And one at a time: neighbours ask for the same of the corrected slice between them.
    return _segment(engine, options, indices, lambda batch: ready.applied(work(batch)), lambda: 1)


def _segment(
    engine: Engine,
    options: SegmentOptions,
    indices: list[int],
    work: _Work,
    in_flight: Callable[[], int],
) -> Iterator[Progress | SliceResult]:
    done = 0
    with closing(_results(engine, _batches(engine, options, indices), work, in_flight)) as results:
        for result in results:
            if result is not None:
                done += len(result.indices)
                yield result
            yield Progress("segmenting", done, len(indices))


def _batches(engine: Engine, options: SegmentOptions, indices: list[int]) -> Iterator[list[int]]:
    begun = 0
    while begun < len(indices):
        # Asked anew each time: an engine that ran out of memory has become more modest.
        size = min(options.batch_size or engine.batch_size, _LARGEST_BATCH)
        batch = sorted(indices[begun : begun + size])
        begun += len(batch)
        yield batch


def _work(prepared: PreparedVolume, engine: Engine, options: SegmentOptions) -> _Work:
    work = segment_slices_with_confidence if options.confidence else segment_slices
    return partial(work, prepared, engine, borders=options.borders)


def _results(
    engine: Engine, batches: Iterator[Sequence[int]], work: _Work, in_flight: Callable[[], int]
) -> Iterator[SliceResult | None]:
    tasks = (partial(work, batch) for batch in batches)
    if engine.in_flight > 1:
        yield from arrivals(tasks, in_flight)
    else:
        for task in tasks:
            yield task()


def segment_volume(
    volume: Volume,
    engine: Engine,
    options: SegmentOptions = _EVERYTHING,
    on_progress: OnProgress = _ignore,
) -> np.ndarray:
    """Return labels [k, j, i] on the volume's own grid, 0 where nothing was found or asked for.

    uint8, or uint16 for models with more than 255 structures. Raises what ``segment`` raises, and
    whatever ``on_progress`` raises, which stops the computation.
    """
    return _segment_volume(volume, engine, options, on_progress, lambda result: None)


def segment_volume_with_confidence(
    volume: Volume,
    engine: Engine,
    options: SegmentOptions = _EVERYTHING,
    on_progress: OnProgress = _ignore,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``segment_volume`` does, and the confidence of it, float16 [k, j, i].

    NaN in slices that were not asked for. What is cleaned away afterwards keeps the confidence in
    what it was.
    """
    confidence = np.full(volume.shape, np.nan, np.float16)

    def keep(result: SliceResult) -> None:
        result.view.put(confidence, result.indices, result.confidence)

    options = dataclasses.replace(options, confidence=True)
    return _segment_volume(volume, engine, options, on_progress, keep), confidence


def _segment_volume(
    volume: Volume,
    engine: Engine,
    options: SegmentOptions,
    on_progress: OnProgress,
    on_result: Callable[[SliceResult], None],
) -> np.ndarray:
    events = segment(volume, engine, options)
    labels = np.zeros(volume.shape, label_type(engine.card))
    with closing(events):
        for event in events:
            if isinstance(event, Progress):
                on_progress(event)
            else:
                event.view.put(labels, event.indices, event.labels)
                on_result(event)
    if options.largest_component:
        structures = len(engine.card.labels)
        for done in keep_largest_components(labels, structures):
            on_progress(Progress("cleaning", done, structures))
    return labels


def _requested(options: SegmentOptions, prepared: PreparedVolume) -> list[int]:
    """Return the slices to segment, the one nearest to the focus first."""
    wanted = range(prepared.count) if options.slices is None else options.slices
    check_slices(wanted, prepared.count, prepared.volume.name)
    focus = options.focus_slice
    return list(wanted) if focus is None else sorted(wanted, key=lambda index: abs(index - focus))


def channels_first(slices: np.ndarray, card: ModelCard) -> np.ndarray:
    """Return [n, h, w] or [n, h, w, c] as [n, in_channels, h, w]; grey is repeated for colour."""
    if slices.ndim == 4:
        return np.moveaxis(slices, -1, 1)
    return np.repeat(slices[:, None], card.in_channels, axis=1)
