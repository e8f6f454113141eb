"""A small training set of corrected cases, and a model to start from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from phantom import make_card

from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training_set import CorrectedCase, add_case

CARD = replace(make_card(("liver", "spleen")), input_size=32)

_STORED = {
    "axial": np.eye(3),
    "coronal": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
}


def patient(number: int) -> str:
    return f"{number:016x}"


def ball_case(seed: int, stored: str = "axial") -> tuple[Volume, np.ndarray]:
    """Return a CT-like image of two bright balls and their labels; 8 slices from feet to head."""
    random = np.random.default_rng(seed)
    k, j, i = np.mgrid[:8, :40, :40]
    labels = np.zeros((8, 40, 40), np.uint8)
    for value, centre in ((1, (4, 20, 12)), (2, (4, 22, 29))):
        distance = np.sqrt((3 * (k - centre[0])) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)
        labels[distance < 9] = value
    image = random.normal(-60, 15, labels.shape) + 160.0 * (labels == 1) + 260.0 * (labels == 2)
    image[:, :2] = -1000
    matrix = np.diag([-8.0, -8.0, 8.0, 1.0])
    image = image.astype(np.int16)
    if stored == "coronal":  # the same voxels, with the patient's S along j
        image, labels = (np.ascontiguousarray(a.transpose(1, 0, 2)) for a in (image, labels))
        matrix = matrix[:, [0, 2, 1, 3]]
    return Volume(image, matrix, f"balls {seed}"), labels


def add_ball_case(
    folder: Path,
    number: int,
    *,
    card: ModelCard = CARD,
    structures: tuple[str, ...] = ("liver", "spleen"),
    reviewed: tuple[tuple[int, int], ...] | None = None,
    stored: str = "axial",
    patient_number: int | None = None,
) -> CorrectedCase:
    """Add case ``number``, of which ``structures`` were segmented, to the training set."""
    volume, labels = ball_case(number, stored)
    kept = [label for label in card.labels if label.name in structures]
    labels = np.where(np.isin(labels, [label.value for label in kept]), labels, 0)
    return add_case(
        folder,
        volume,
        labels,
        kept,
        card,
        patient=patient(number if patient_number is None else patient_number),
        axis=0 if stored == "axial" else 1,
        reviewed=reviewed,
    )
