"""Whether a volume shows enough of what a CT model segments for anything to be learned from it.

Noise and pictures of other things make a network a little more certain in one view than in another,
too. What the network then finds tells: where organs are known, they must be there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from GDLACore.calibration.label_order import (
    CANNOT_TELL,
    FEWEST_ORGANS,
    IMPLAUSIBLE,
    LabelOrderVerdict,
)
from GDLACore.calibration.organ_measures import card_organs
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

_FAT_HU = -100.0  # every CT of a body shows air or fat, whose values are lower


@dataclass(frozen=True)
class Obstacle:
    """Why nothing can be learned from a volume, a sentence's end, and what to do, a sentence."""

    reason: str
    remedy: str


def obstacle(
    volume: Volume, card: ModelCard, label_order: LabelOrderVerdict | None
) -> Obstacle | None:
    """Return what keeps ``volume`` from telling how ``card``'s model is fed, None if nothing does.

    ``label_order`` is about what the network found when fed in the best way, None where that was
    not judged. Organs in their places outweigh values that are unlike Hounsfield units.
    """
    if label_order is None:
        if _unlike_ct(volume, card):
            return Obstacle(_UNLIKE_CT, f"{_CHOOSE} what the model segments.")
        return None
    organs = ", ".join(organ.name for organ in card_organs(card).values())
    remedy = f"{_CHOOSE} at least {FEWEST_ORGANS} of these: {organs}."
    if label_order.outcome == CANNOT_TELL:
        count = len(label_order.found)
        return Obstacle(f"of the organs that the model knows, {count} were found", remedy)
    if label_order.outcome == IMPLAUSIBLE and _unlike_ct(volume, card):
        return Obstacle(f"{_UNLIKE_CT}, and what was found does not lie like organs", remedy)
    return None


_CHOOSE = "Choose a CT in Hounsfield units that shows"
_UNLIKE_CT = "it shows neither air nor fat in Hounsfield units"


def _unlike_ct(volume: Volume, card: ModelCard) -> bool:
    # A file that names its modality was refused before if that is another one.
    return card.modality == "CT" and volume.modality is None and np.nanmin(volume.array) > _FAT_HU
