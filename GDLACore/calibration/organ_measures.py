"""How large the organs in a label map are, where they lie and how far along the body they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from GDLACore.calibration.organs import ORGANS, Organ
from GDLACore.imaging.components import keep_largest_components
from GDLACore.model.card import Label, ModelCard

_SMALLEST_ML = 2.0  # less is a false alarm, or too little of an organ to be judged


@dataclass(frozen=True)
class FoundOrgan:
    """What carries one label of a card.

    ``centroid`` is in RAS, mm. ``area`` (cm2) is the mean cross-section over the organ's height
    along the body, ``coverage`` that height as a share of the one of all found organs together.
    """

    label: Label
    millilitres: float
    centroid: tuple[float, float, float]
    area: float
    coverage: float


def card_organs(card: ModelCard) -> dict[int, Organ]:
    """Return, by label value, the structures of ``card`` that are a known organ by terminology."""
    known = {(organ.code, organ.side): organ for organ in ORGANS}
    codes = {
        label.value: (
            label.terminology.type.value,
            label.terminology.type_modifier.value if label.terminology.type_modifier else None,
        )
        for label in card.labels
    }
    return {value: known[code] for value, code in codes.items() if code in known}


def found_organs(
    labels: np.ndarray, ijk_to_ras: np.ndarray, card: ModelCard
) -> tuple[FoundOrgan, ...]:
    """Return what ``labels`` [k, j, i] holds of the known organs in ``card``, by label value.

    ``ijk_to_ras`` is 4x4, mm. Only the largest connected part of each counts.
    """
    labels = labels.copy()
    for _ in keep_largest_components(labels, len(card.labels)):
        pass
    voxel_ml = abs(np.linalg.det(ijk_to_ras[:3, :3])) / 1000.0
    thickness = float(np.abs(ijk_to_ras[2, :3]).max())
    positions: dict[int, np.ndarray] = {}
    for value in card_organs(card):
        ijk = np.argwhere(labels == value)[:, ::-1]
        if len(ijk) * voxel_ml >= _SMALLEST_ML:
            positions[value] = ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    return _measured(positions, voxel_ml, thickness, card)


def _measured(
    positions: Mapping[int, np.ndarray], voxel_ml: float, thickness: float, card: ModelCard
) -> tuple[FoundOrgan, ...]:
    if not positions:
        return ()
    lowest = min(ras[:, 2].min() for ras in positions.values())
    highest = max(ras[:, 2].max() for ras in positions.values())
    found = []
    for value, ras in positions.items():
        millilitres = len(ras) * voxel_ml
        height = float(np.ptp(ras[:, 2])) + thickness
        found.append(
            FoundOrgan(
                label=card.labels[value - 1],
                millilitres=millilitres,
                centroid=tuple(ras.mean(axis=0).tolist()),
                area=millilitres * 10.0 / height,
                coverage=height / (float(highest - lowest) + thickness),
            )
        )
    return tuple(found)
