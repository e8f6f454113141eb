"""Everything that can be found out about how a network wants to be fed, and a card that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from GDLACore.calibration.advice import UNCLEAR, Advice, advise, withheld
from GDLACore.calibration.candidates import candidate_profiles
from GDLACore.calibration.evidence import Obstacle, obstacle
from GDLACore.calibration.input_check import InputVerdict, check_inputs
from GDLACore.calibration.input_statistics import InputStatistics, input_statistics
from GDLACore.calibration.label_order import (
    ANOTHER_ORDER,
    CANNOT_TELL,
    FEWEST_ORGANS,
    LabelOrderVerdict,
    judge_labels,
)
from GDLACore.calibration.organ_measures import card_organs
from GDLACore.calibration.organs import KNOWN_ORDERS
from GDLACore.calibration.trial import SLICES, Trial, is_overflow, try_views
from GDLACore.engine.protocol import Engine
from GDLACore.errors import EngineError, VolumeError
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import Progress, segment, segment_volume

_LABELLED_SLICES = 40  # enough to see organs whole; a long CT need not be segmented slice by slice

_OVERFLOW = (
    "Whether the label order is right cannot be told: the network gives no finite numbers for some "
    "slices."
)

_CAVEAT = (
    "Slice view, intensity profile and label order were checked or corrected with `gdla calibrate` "
    "on one volume."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """What weights and one volume say about ``card``.

    ``statistics`` and ``inputs`` are None where the weights were not at hand, ``label_order`` where
    the card has too few organs whose places are known, or is not for CT. ``obstacle`` is what keeps
    the volume from telling anything; then the advice is to keep the card.
    """

    card: ModelCard
    statistics: InputStatistics | None
    inputs: InputVerdict | None
    trial: Trial
    advice: Advice
    label_order: LabelOrderVerdict | None
    obstacle: Obstacle | None = None

    @property
    def clear(self) -> bool:
        """Return whether anything was found that a card could say with good reason."""
        advice, order = self.advice, self.label_order
        outcomes = {advice.view_choice.outcome, advice.intensity_choice.outcome}
        corrected = order is not None and order.outcome == ANOTHER_ORDER and order.order is not None
        return outcomes != {UNCLEAR} or corrected


def calibrate(
    volume: Volume,
    engine: Engine,
    weights: Mapping[str, np.ndarray] | None,
    *,
    slices: int = SLICES,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Findings:
    """Return what ``weights`` (under this package's names) and ``volume`` say about the card.

    The phases are "trying" (views and profiles, counted in slices) and "segmenting" (for the label
    order). Raises VolumeError if the volume is not what the model is for or shows nothing,
    EngineError if the network cannot be run.
    """
    card = engine.card
    _check_content(volume)
    segment(volume, engine)  # not started: only for what it refuses or warns of at once
    statistics = input_statistics(weights) if weights is not None else None
    inputs = check_inputs(statistics, card) if statistics is not None else None
    kinds = inputs.kinds if inputs is not None else ()
    trial = try_views(
        volume,
        engine,
        candidate_profiles(card, kinds),
        slices=slices,
        on_progress=lambda done, total: on_progress(Progress("trying", done, total)),
    )
    advice = advise(trial, card, inputs)
    order = None
    if card.modality == "CT" and len(card_organs(card)) >= FEWEST_ORGANS:
        advised = dataclasses.replace(card, view=advice.view, intensity=advice.intensity)
        order = _label_order(volume, engine, advised, on_progress)
    hindrance = obstacle(volume, card, order)
    if hindrance is not None:
        advice = withheld(card, hindrance.reason)
    return Findings(card, statistics, inputs, trial, advice, order, hindrance)


def calibrated_card(findings: Findings) -> ModelCard:
    """Return the card with what was found: view, intensity and, where clear, the label order.

    It describes no file of weights in particular, and its caveats say where the changes come from.
    """
    card, order = findings.card, findings.label_order
    labels = card.labels
    if order is not None and order.outcome == ANOTHER_ORDER and order.order is not None:
        by_organ = {organ: labels[value - 1] for value, organ in card_organs(card).items()}
        labels = tuple(
            dataclasses.replace(by_organ[organ], value=value)
            for value, organ in enumerate(KNOWN_ORDERS[order.order], start=1)
        )
    caveats = tuple(text for text in card.provenance.caveats if text != _CAVEAT)
    return dataclasses.replace(
        card,
        view=findings.advice.view,
        intensity=findings.advice.intensity,
        labels=labels,
        provenance=dataclasses.replace(card.provenance, caveats=(*caveats, _CAVEAT)),
        sha256=None,
    )


def _check_content(volume: Volume) -> None:
    array = volume.array
    known = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if not known.size or known.min() == known.max():
        raise VolumeError(
            f"{volume.name} shows nothing: all its values are the same.",
            "Choose an image that shows what the model segments.",
        )


def _label_order(
    volume: Volume, engine: Engine, advised: ModelCard, on_progress: Callable[[Progress], None]
) -> LabelOrderVerdict:
    card = engine.card
    thin = _thinned(volume, card.slice_axis, card.modality)
    engine.use_card(advised)
    try:
        labels = segment_volume(thin, engine, SegmentOptions(borders="published"), on_progress)
    except EngineError as error:
        if not is_overflow(error):
            raise
        return LabelOrderVerdict(CANNOT_TELL, None, _OVERFLOW, (), {})
    finally:
        engine.use_card(card)
    return judge_labels(labels, thin.ijk_to_ras, card)


def _thinned(volume: Volume, slice_axis: str, modality: str) -> Volume:
    """Return ``volume`` with every n-th slice only, at most about _LABELLED_SLICES; no copy.

    ``modality`` is that of the model: that the volume suits it was checked before, and need not be
    doubted a second time.
    """
    view = slice_view(volume, slice_axis, "identity")
    step = -(-view.count // _LABELLED_SLICES)
    axis = view.axes[0]
    kept = tuple(slice(None, None, step if a == axis else None) for a in range(3))
    ijk_to_ras = volume.ijk_to_ras.copy()
    ijk_to_ras[:3, 2 - axis] *= step
    return Volume(volume.array[kept], ijk_to_ras, volume.name, modality)
