"""A real volume as it is corrected: a simulated user makes one slice what the reference says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from review_efficiency_volumes import Candidate

from GDLACore.engine import load_engine
from GDLACore.engine.label_maps import enlarged
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.pipeline import prepare


@dataclass(frozen=True, eq=False)
class Subject:
    """The slices [n, h, w] of a volume that the reference can judge, in stored order.

    ``found`` are the network's labels and ``logits`` [n, classes, h, w] what they come from.
    ``truth`` are the reference's labels of the structures ``known``, and ``corrected`` what the
    user makes of a slice: the reference where it knows, else what the network found. Slices are
    ``step`` mm apart.
    """

    images: np.ndarray
    found: np.ndarray
    logits: np.ndarray
    truth: np.ndarray
    corrected: np.ndarray
    known: tuple[int, ...]
    step: float


def subject_of(candidate: Candidate) -> Subject:
    """Return ``candidate``'s volume, segmented."""
    with load_engine(candidate.model, device="cpu") as engine:
        card = engine.card
        case = candidate.read(card)
        prepared = prepare(case.volume, card)
        shown = np.isin(prepared.view.take(case.truth, case.slices), case.known).any(axis=(1, 2))
        indices = [index for index, one in zip(case.slices, shown, strict=True) if one]
        indices = range(indices[0], indices[-1] + 1)
        inputs = prepared.images(indices)
        found, scores = engine.predict(inputs, "smooth"), engine.scores(inputs)
    truth = np.ascontiguousarray(prepared.view.take(case.truth, indices))
    plan = slice_resampling(card.resampling, found.shape[1:], card.input_size)
    others = np.where(np.isin(found, case.known), 0, found)
    return Subject(
        images=inputs.mean(axis=1),
        found=found,
        logits=np.stack([[enlarged(one, plan) for one in slice_] for slice_ in scores]),
        truth=truth,
        corrected=np.where(truth > 0, truth, others).astype(found.dtype),
        known=case.known,
        step=case.volume.spacing[2 - prepared.view.axes[0]],
    )
