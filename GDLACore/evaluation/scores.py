"""How well one structure of one image was found, as exact definitions.

P and R are the voxels of the prediction and of the reference; voxels nobody annotated are in
neither. S(P) and S(R) are their surfaces, and d(p, S(R)) is the distance of a surface voxel of P
from the surface of R (``surfaces``), with the true spacing along each axis of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from GDLACore.evaluation.surfaces import surface_distances

DEFAULT_TOLERANCE = 2.0  # mm; voxels where the spacing is not known

# MONAI's distances are float32; one that equals the tolerance lies within it.
_ROUNDING = 1e-5

FOUND, MISSED, FALSE, ABSENT = "found", "missed", "false", "absent"
OUTCOMES = (FOUND, MISSED, FALSE, ABSENT)


@dataclass(frozen=True)
class Scores:
    """One structure of one image; lengths in the unit of the spacing (mm where that is known).

    ``outcome``: "found" (in both), "missed" (in the reference alone), "false" (in the prediction
    alone) or "absent" (in neither). A measure that is not defined is None, never 0 or NaN:

    ===========================  =====  ======  =====  ======
    measure                      found  missed  false  absent
    ===========================  =====  ======  =====  ======
    dice, nsd                    yes    0       0      None
    hd95, assd                   yes    None    None   None
    volume_difference_ml         yes    yes     yes    0
    volume_difference_percent    yes    -100    None   None
    ===========================  =====  ======  =====  ======

    Attributes:
        dice: 2 |P and R| / (|P| + |R|).
        hd95: the larger of the 95th percentiles of d(p, S(R)) over S(P) and of d(r, S(P)) over
            S(R), between ranks interpolated linearly.
        nsd: normalised surface distance, the share of the voxels of S(P) and S(R) together that
            lie within the tolerance of the other surface.
        assd: the mean of d over S(P) and S(R) together.
        volume_difference_ml: volume of P minus volume of R; None where the voxel's is not known.
        volume_difference_percent: the same in percent of R.
    """

    outcome: str
    dice: float | None
    hd95: float | None
    nsd: float | None
    assd: float | None
    volume_difference_ml: float | None
    volume_difference_percent: float | None
    prediction_ml: float | None
    reference_ml: float | None


@dataclass(frozen=True)
class PaperScores:
    """One structure of one image, measured as the published figures were.

    Attributes:
        dice: as MONAI's DiceMetric with ``ignore_empty``: None, and so left out of means, where the
            reference lacks the structure, however much of it was predicted; 0 where it was missed.
        hd95_voxels: as MedPy's ``hd95`` without a spacing: the 95th percentile of the distances of
            both directions joined in one set, in voxels, as if every voxel were a cube of side 1.
            0.0 where prediction or reference is empty, which counts a missed structure as perfect.
    """

    dice: float | None
    hd95_voxels: float


def score(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    voxel_ml: float | None = None,
    ignored: np.ndarray | None = None,
) -> Scores:
    """Return the scores of one structure from its masks, bool [k, j, i].

    ``spacing`` is along the arrays' axes, here (k, j, i); ``tolerance`` of the normalised surface
    distance is in its unit. ``voxel_ml``: the volume of a voxel, None where it is not known.
    ``ignored``: bool [k, j, i], voxels that count neither in the prediction nor in the reference.

    Raises EvaluationError if MONAI is not installed, ValueError if the shapes differ.
    """
    prediction, reference, ignored = _counted(prediction, reference, ignored)
    p, r = int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))
    outcome = {(True, True): FOUND, (False, True): MISSED, (True, False): FALSE}.get(
        (p > 0, r > 0), ABSENT
    )
    hd95 = nsd = assd = None
    if outcome == FOUND:
        there, back = surface_distances(prediction, reference, ignored, spacing)
        both = np.concatenate([there, back])
        if both.size:
            hd95 = float(max(np.percentile(there, 95), np.percentile(back, 95)))
            nsd = float(np.count_nonzero(both <= tolerance + _ROUNDING) / both.size)
            assd = float(both.mean())
    elif outcome != ABSENT:
        nsd = 0.0
    return Scores(
        outcome=outcome,
        dice=_dice(prediction, reference, p + r),
        hd95=hd95,
        nsd=nsd,
        assd=assd,
        volume_difference_ml=None if voxel_ml is None else (p - r) * voxel_ml,
        volume_difference_percent=100.0 * (p - r) / r if r else None,
        prediction_ml=None if voxel_ml is None else p * voxel_ml,
        reference_ml=None if voxel_ml is None else r * voxel_ml,
    )


def paper_score(
    prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None
) -> PaperScores:
    """Return the published measures of one structure from its masks, as for ``score``."""
    prediction, reference, ignored = _counted(prediction, reference, ignored)
    p, r = int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))
    hd95 = 0.0
    if p and r:
        ones = (1.0,) * prediction.ndim
        both = np.concatenate(surface_distances(prediction, reference, ignored, ones))
        hd95 = float(np.percentile(both, 95)) if both.size else 0.0
    return PaperScores(_dice(prediction, reference, p + r) if r else None, hd95)


def _counted(
    prediction: np.ndarray, reference: np.ndarray, ignored: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if ignored is None:
        ignored = np.zeros(reference.shape, bool)
    if not prediction.shape == reference.shape == ignored.shape:
        raise ValueError(
            f"masks of shapes {prediction.shape}, {reference.shape} and {ignored.shape}"
        )
    return prediction & ~ignored, reference & ~ignored, ignored


def _dice(prediction: np.ndarray, reference: np.ndarray, total: int) -> float | None:
    common = int(np.count_nonzero(prediction & reference))
    return 2.0 * common / total if total else None
