"""Abdomens made of ellipsoids: where eight organs lie in a patient, as label volumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from GDLACore.calibration.organs import Organ
from GDLACore.model.card import ModelCard

# Centre (mm towards the patient's right, front and head of the first lumbar vertebra) and half axes
# (mm): an atlas's adult. The aorta runs through the whole scan.
ATLAS = {
    "aorta": ((-10, 25, 40), (11, 11, 400)),
    "gallbladder": ((55, 75, 20), (14, 20, 22)),
    "left kidney": ((-65, -10, 25), (28, 25, 52)),
    "right kidney": ((62, -8, 10), (28, 25, 52)),
    "liver": ((75, 50, 75), (85, 75, 70)),
    "pancreas": ((-12, 62, 35), (55, 12, 14)),
    "spleen": ((-105, -5, 85), (27, 45, 48)),
    "stomach": ((-55, 75, 75), (35, 38, 55)),
}

LOW, HIGH = (-190, -130, -70), (190, 150, 170)  # the scan, mm
SPACING = 5.0


@dataclasses.dataclass(frozen=True, eq=False)
class Abdomen:
    """labels [k, j, i] and where they lie."""

    labels: np.ndarray
    ijk_to_ras: np.ndarray

    def stored(self, order: Sequence[int], flips: Sequence[bool]) -> Abdomen:
        """Return the same patient with its array axes in another order and direction."""
        labels, matrix = self.labels, self.ijk_to_ras.copy()
        for axis in range(3):
            if flips[axis]:
                column = 2 - axis
                matrix[:3, 3] += matrix[:3, column] * (labels.shape[axis] - 1)
                matrix[:3, column] *= -1
                labels = np.flip(labels, axis)
        turned = matrix.copy()
        for new, old in enumerate(order):
            turned[:3, 2 - new] = matrix[:3, 2 - old]
        return Abdomen(np.ascontiguousarray(labels.transpose(order)), turned)

    def mirrored(self) -> Abdomen:
        """Return the patient with left and right exchanged, as if the header were wrong."""
        return Abdomen(self.labels[:, :, ::-1].copy(), self.ijk_to_ras)

    def between(self, low: float, high: float) -> Abdomen:
        """Return what a scan from ``low`` to ``high`` (mm towards the head) would have shown."""
        s = self.ijk_to_ras[2, 3] + SPACING * np.arange(len(self.labels))
        inside = (s >= low) & (s <= high)
        matrix = self.ijk_to_ras.copy()
        matrix[2, 3] = s[inside][0]
        return Abdomen(self.labels[inside], matrix)


def make_abdomen(
    order: Sequence[Organ], *, patient: int = 0, leave_out: Sequence[str] = ()
) -> Abdomen:
    """Return the labels of a patient whose organ ``order[n]`` has label n + 1.

    ``patient`` 0 is the atlas; others have organs of other sizes, elsewhere.
    """
    random = np.random.default_rng(patient)
    size = random.uniform(0.8, 1.2) if patient else 1.0
    axes = [np.arange(low, high, SPACING) for low, high in zip(LOW, HIGH, strict=True)]
    r, a, s = np.meshgrid(*axes, indexing="ij")
    labels = np.zeros(r.shape, np.uint8)
    # The largest first: the smaller ones are cut out of it.
    for organ in sorted(order, key=lambda organ: -np.prod(ATLAS[organ.name][1][:2])):
        if organ.name in leave_out:
            continue
        centre, half = (size * np.array(numbers, float) for numbers in ATLAS[organ.name])
        if patient:
            centre, half = centre + random.normal(0, 8, 3), half * random.uniform(0.8, 1.2, 3)
        offsets = [(x - c) / h for x, c, h in zip((r, a, s), centre, half, strict=True)]
        labels[sum(offset**2 for offset in offsets) <= 1] = order.index(organ) + 1
    matrix = np.diag([SPACING, SPACING, SPACING, 1.0])
    matrix[:3, 3] = LOW
    return Abdomen(np.ascontiguousarray(labels.transpose(2, 1, 0)), matrix)


def card_in_order(card: ModelCard, order: Sequence[Organ]) -> ModelCard:
    """Return ``card``, of the eight organs, with its labels in ``order``."""
    by_name = {label.name.casefold(): label for label in card.labels}
    labels = [
        dataclasses.replace(by_name[organ.name], value=value)
        for value, organ in enumerate(order, start=1)
    ]
    return dataclasses.replace(card, labels=tuple(labels))
