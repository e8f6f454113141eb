"""How sure a network is of a slice's labels: the margin between its two most probable classes.

With the probabilities p of softmax, p of the most probable class less p of the next: 0 where two
classes are equally probable, 1 where one is certain. It is computed on the network's grid and
enlarged linearly: what an image's own pixels would add costs as much as their labels.
"""

from __future__ import annotations

import numpy as np

from GDLACore.engine.label_maps import enlarged
from GDLACore.imaging.slice_resampling import SliceResampling


def confidence(logits: np.ndarray, plan: SliceResampling) -> np.ndarray:
    """Return the margin, float16 [h, w], at every pixel of ``plan.shape``.

    ``logits`` are float32 [classes, s, s] and finite.
    """
    return enlarged(margin(logits), plan).astype(np.float16)


def margin(logits: np.ndarray) -> np.ndarray:
    """Return p1 - p2 of the two most probable classes, float32 [...], of ``logits`` [classes, ...].

    Written with z, the logits: (1 - exp(z2 - z1)) / sum over classes of exp(z - z1).
    """
    highest, second = np.maximum(logits[0], logits[1]), np.minimum(logits[0], logits[1])
    for one in logits[2:]:
        np.maximum(second, np.minimum(highest, one), out=second)
        np.maximum(highest, one, out=highest)
    total = np.zeros_like(highest)
    for one in logits:
        total += np.exp(one - highest)
    return (1 - np.exp(second - highest)) / total
