"""How far two segmentations of the same image agree."""

from __future__ import annotations

import numpy as np


def agreement(labels: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return the shares of voxels with the same label.

    "same_labels" is of all; "same_structures" of those which either calls a structure, for the air
    around a patient makes the first flatter.
    """
    same, structure = labels == reference, (labels > 0) | (reference > 0)
    return {
        "same_labels": float(same.mean()),
        "same_structures": float(same[structure].mean()) if structure.any() else 1.0,
    }
