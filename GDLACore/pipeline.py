"""From a volume and a loaded model to labels, slice by slice, the most wanted slices first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from GDLACore.engine.protocol import Engine, label_type
from GDLACore.errors import VolumeError
from GDLACore.imaging.components import keep_largest_components
from GDLACore.imaging.intensity import count_non_finite, normaliser
from GDLACore.imaging.view import SliceView, check_slices, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions

_log = logging.getLogger(__name__)

_EVERYTHING = SegmentOptions()

# More slices than this at once give no GPU more speed but delay the first result and cancelling.
_LARGEST_BATCH = 64

# DICOM's codes of images that show the body's inside. Others (photographs, screenshots, or none)
# do not say enough to refuse an image.
_RADIOLOGY = frozenset(
    {"CT", "MR", "US", "PT", "NM", "CR", "DX", "MG", "XA", "RF", "SEG", "RTDOSE"}
)

_AIR_HU, _FAT_HU = -900, -100

_MODALITIES = {
    "CT": "CT images",
    "MR": "MR images",
    "US": "ultrasound images",
    "RGB": "colour photographs",
}


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps: slices ("segmenting") or structures ("cleaning")."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class SliceResult:
    """Finished labels of some slices.

    ``indices`` are stored slices along ``view``'s slice axis and ``labels`` [n, h, w] their labels,
    turned as the network saw them; ``view.put(volume_labels, indices, labels)`` stores them.
    """

    indices: tuple[int, ...]
    labels: np.ndarray
    view: SliceView


def segment(
    volume: Volume, engine: Engine, options: SegmentOptions = _EVERYTHING
) -> Iterator[Progress | SliceResult]:
    """Segment ``volume``: return an iterator over each finished batch, and after it the progress.

    The caller may stop iterating at any time; nothing needs to be cleaned up. Post-processing over
    the whole volume is ``segment_volume``'s business.

    Raises VolumeError, at once, if the volume does not suit the model or the options do not suit
    the volume; the iterator raises EngineError if the network cannot be run.
    """
    card = engine.card
    check_volume(volume, card)
    view = slice_view(volume, card.slice_axis, card.view)
    indices = _requested(options, view, volume)
    _check_values(volume, card)
    return _segment(volume, engine, options, view, indices)


def _segment(
    volume: Volume, engine: Engine, options: SegmentOptions, view: SliceView, indices: list[int]
) -> Iterator[Progress | SliceResult]:
    normalise = normaliser(engine.card.intensity, volume.array)
    done = 0
    while done < len(indices):
        # Asked anew each time: an engine that ran out of memory has become more modest.
        size = min(options.batch_size or engine.batch_size, _LARGEST_BATCH)
        batch = sorted(indices[done : done + size])
        slices = normalise(view.take(volume.array, batch))
        labels = engine.predict(channels_first(slices, engine.card), options.borders)
        done += len(batch)
        yield SliceResult(tuple(batch), labels, view)
        yield Progress("segmenting", done, len(indices))


def segment_volume(
    volume: Volume,
    engine: Engine,
    options: SegmentOptions = _EVERYTHING,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> np.ndarray:
    """Return labels [k, j, i] on the volume's own grid, 0 where nothing was found or asked for.

    uint8, or uint16 for models with more than 255 structures. Raises what ``segment`` raises, and
    whatever ``on_progress`` raises, which stops the computation.
    """
    events = segment(volume, engine, options)
    labels = np.zeros(volume.shape, label_type(engine.card))
    for event in events:
        if isinstance(event, Progress):
            on_progress(event)
        else:
            event.view.put(labels, event.indices, event.labels)
    if options.largest_component:
        structures = len(engine.card.labels)
        for done in keep_largest_components(labels, structures):
            on_progress(Progress("cleaning", done, structures))
    return labels


def check_volume(volume: Volume, card: ModelCard) -> None:
    """Raise VolumeError if ``volume`` is not what ``card``'s model is for.

    A model for colour images accepts grey ones, repeated in every channel, except where colour is
    what it goes by (modality RGB): breast ultrasound was published as colour files without colour.
    """
    if volume.modality in _RADIOLOGY and volume.modality != card.modality:
        raise VolumeError(
            f"{volume.name} is a {volume.modality} image, but the model {card.name} "
            f"({card.title}) is for {_MODALITIES[card.modality]}.",
            "Choose a model for this kind of image.",
        )
    if volume.channels > card.in_channels:
        raise VolumeError(
            f"{volume.name} is a colour image, but the model {card.name} ({card.title}) is for "
            f"grey {_MODALITIES[card.modality]}.",
            "Choose the original image instead of a screenshot or a rendering of it, or another "
            "model.",
        )
    if volume.channels == 1 and card.modality == "RGB":
        raise VolumeError(
            f"{volume.name} is a grey image, but the model {card.name} ({card.title}) is for "
            f"{_MODALITIES[card.modality]} and goes by the colour.",
            "Choose the original colour image, or another model.",
        )


def _check_values(volume: Volume, card: ModelCard) -> None:
    """Refuse or warn of values that cannot be what ``card``'s model is for."""
    lowest, highest = float(volume.array.min()), float(volume.array.max())
    if lowest == highest:
        _log.warning(
            "All values of %s are the same (%g): nothing is to be seen.", volume.name, lowest
        )
    elif volume.modality is None:  # NIfTI, NRRD and pictures do not say
        _check_lowest(volume, lowest, card)
    if count := count_non_finite(volume.array):
        _log.warning(
            "%s has %d voxels that are not finite numbers; they count as the darkest value.",
            volume.name,
            count,
        )


def _check_lowest(volume: Volume, lowest: float, card: ModelCard) -> None:
    """Judge by the lowest value: Hounsfield units go down to -1000, pictures end at 0."""
    if card.modality in ("US", "RGB") and lowest < 0:
        raise VolumeError(
            f"{volume.name} has negative values, as CT has, but the model {card.name} "
            f"({card.title}) is for {_MODALITIES[card.modality]}.",
            "Choose a model for this kind of image.",
        )
    if card.modality == "MR" and lowest <= _AIR_HU:
        _log.warning(
            "%s has values down to %g, as CT has, but %s is for MR images: check the result.",
            volume.name,
            lowest,
            card.name,
        )
    if card.modality == "CT" and lowest > _FAT_HU:
        _log.warning(
            "%s shows neither air nor fat in Hounsfield units, but %s is for CT: check the result.",
            volume.name,
            card.name,
        )


def _requested(options: SegmentOptions, view: SliceView, volume: Volume) -> list[int]:
    """Return the slices to segment, the one nearest to the focus first."""
    wanted = range(view.count) if options.slices is None else options.slices
    check_slices(wanted, view.count, volume.name)
    focus = options.focus_slice
    return list(wanted) if focus is None else sorted(wanted, key=lambda index: abs(index - focus))


def channels_first(slices: np.ndarray, card: ModelCard) -> np.ndarray:
    """Return [n, h, w] or [n, h, w, c] as [n, in_channels, h, w]; grey is repeated for colour."""
    if slices.ndim == 4:
        return np.moveaxis(slices, -1, 1)
    return np.repeat(slices[:, None], card.in_channels, axis=1)
