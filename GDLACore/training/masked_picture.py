"""Cases of one picture and the black-and-white pictures that mark one structure in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.training.file_hash import sha256
from GDLACore.training.picture_files import is_picture, without_spacing

MASK_RULES = ("published", "half")


@dataclass(frozen=True)
class MaskedPicture:
    """A picture whose structure is what any of its ``masks`` marks.

    ``rule`` says which pixels of a mask are marked:

    - "published": those that are as bright as its brightest. The authors scale a mask by its
      minimum and maximum to 0 ... 1 and cut off the fraction, so grey pixels at edges are outside,
      and a mask that is white all over marks nothing.
    - "half": those brighter than half of its brightest: an edge lies where an eye sees it, and a
      mask that is white all over marks everything.

    ``blank`` is whether a picture may show nothing of the structure.
    """

    id: str
    patient: str
    image: Path
    masks: tuple[Path, ...]
    rule: str
    blank: bool
    weight: float = 1.0
    unknown: frozenset[str] = frozenset()
    slices: tuple[int, int] | None = None
    validation_slices: tuple[int, int] | None = None

    @property
    def spacing_known(self) -> bool:
        return not is_picture(self.image)

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the picture, [1, j, i] or [1, j, i, 3], and its classes, uint8 [1, j, i].

        Raises VolumeError if a file cannot be read, TrainingError if a mask is of another size or,
        unless it may be, black all over.
        """
        volume = read_volume(self.image)
        if volume.shape[0] != 1:
            raise TrainingError(f"{self.image} holds {volume.shape[0]} pictures instead of one.")
        classes = np.zeros(volume.shape, np.uint8)
        white = False
        for path in self.masks:
            mask = _grey(read_volume(path).array)
            if mask.shape != volume.shape:
                raise TrainingError(
                    f"The mask {path} is {_size(mask)} pixels, but its picture {self.image.name} "
                    f"is {_size(classes)}.",
                    "Export both at the same size.",
                )
            white |= bool(mask.any())
            classes[_marked(mask, self.rule)] = 1
        if not (white or self.blank):
            raise TrainingError(
                f"The mask {self.masks[0]} marks nothing.",
                "Draw it again, or take the picture out of the folder.",
            )
        return volume if self.spacing_known else without_spacing(volume), classes

    def description(self) -> dict[str, Any]:
        """Return what the case teaches, with the SHA-256 of its files in place of their paths."""
        return {
            "patient": self.patient,
            "image": sha256(self.image),
            "masks": [sha256(path) for path in self.masks],
            "rule": self.rule,
        }


def _grey(mask: np.ndarray) -> np.ndarray:
    """Return [1, j, i]: of a mask saved in colour, or with a palette, the brightest channel."""
    return mask.max(axis=3) if mask.ndim == 4 else mask


def _marked(mask: np.ndarray, rule: str) -> np.ndarray:
    low, high = mask.min(), mask.max()
    if rule == "published":
        return (mask == high) & (high > low)
    return mask > high / 2


def _size(array: np.ndarray) -> str:
    return f"{array.shape[2]} x {array.shape[1]}"
