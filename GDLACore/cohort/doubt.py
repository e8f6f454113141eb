"""Which studies of a cohort to look at first."""

from __future__ import annotations

import numpy as np

from GDLACore.review.doubt import slice_doubt


def study_doubt(labels: np.ndarray, confidence: np.ndarray) -> float:
    """Return how doubtful a segmentation is, 0 (certain) to 1 (nothing found but doubt).

    ``labels`` and ``confidence`` (the margin, 0..1) are [k, j, i]. With d the voxels that a
    well-calibrated network expects to be wrong, as ``review.doubt`` adds them up, and f the voxels
    found: d / (d + f), so that large and small studies can be compared. What has no confidence
    (NaN) is as doubtful as can be.
    """
    wrong = float(slice_doubt(confidence, 0, range(len(confidence))).sum())
    if np.isnan(wrong):
        known = np.nan_to_num(confidence, nan=0.0)
        wrong = float(slice_doubt(known, 0, range(len(known))).sum())
    found = np.count_nonzero(labels)
    return wrong / (wrong + found) if wrong > 0 else 0.0
