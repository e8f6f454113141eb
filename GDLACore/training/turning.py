"""How slices of volumes are mirrored and rotated, the authors' way and a better one.

The authors' way: with probability 1/2 a quarter turn and a mirroring (always both, so that only the
four reflections ever occur), else with probability 1/2 a rotation by -20 to 19 degrees, by nearest
neighbour, which fills the corners with 0 and calls them background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from GDLACore.training.cases import IGNORED

LARGEST_ANGLE = 20


@dataclass(frozen=True, eq=False)
class Turning:
    """What happens to each slice of one volume before it is resampled.

    Attributes:
        reflections: "published", "left_right" (with probability 1/2 mirrored across the patient,
            and rotated or not whether mirrored or not) or "none".
        rotation: "published" or "ignored_corners" (the image linearly, its corners filled with
            what is outside the patient; nobody annotated them).
        axis: the axis of a slice [h, w] that runs across the patient, None if there is none.
        sides: uint8 [256], what each class is called in a mirror image, None if that is not known.
        outside: the network's input where there is no patient.
    """

    reflections: str = "published"
    rotation: str = "published"
    axis: int | None = None
    sides: np.ndarray | None = None
    outside: float = 0.0

    def __call__(
        self, image: np.ndarray, target: np.ndarray, random: torch.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``image`` [C, h, w] and ``target`` [h, w], turned at random."""
        mirror, rotate = (torch.rand(2, generator=random) < 0.5).tolist()
        turns, axis, angle = (
            int(torch.randint(n, (1,), generator=random)) for n in (4, 2, 2 * LARGEST_ANGLE)
        )
        if mirror and self.reflections == "published":
            image = np.flip(np.rot90(image, turns, axes=(1, 2)), axis + 1)
            return image, np.ascontiguousarray(np.flip(np.rot90(target, turns), axis))
        known = self.axis is not None and self.sides is not None
        if mirror and known and self.reflections == "left_right":
            image = np.flip(image, self.axis + 1)
            target = self.sides[np.flip(target, self.axis)]
        if rotate:
            image, target = self._rotated(image, target, angle - LARGEST_ANGLE)
        return image, np.ascontiguousarray(target)

    def _rotated(
        self, image: np.ndarray, target: np.ndarray, angle: int
    ) -> tuple[np.ndarray, np.ndarray]:
        order, fill, fill_class = 0, 0.0, 0
        if self.rotation == "ignored_corners":
            order, fill, fill_class = 1, self.outside, IGNORED
        image = ndimage.rotate(image, angle, (1, 2), order=order, cval=fill, reshape=False)
        return image, ndimage.rotate(target, angle, order=0, cval=fill_class, reshape=False)
