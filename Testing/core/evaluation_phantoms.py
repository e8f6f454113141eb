"""Annotated phantoms in memory, as a dataset offers them, and predictions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.training.cases import IGNORED

STRUCTURES = ("liver", "spleen")
SHAPE = (8, 20, 24)  # k, j, i
SPACING = (0.8, 0.9, 3.0)  # i, j, k in mm


@dataclass(frozen=True)
class PhantomCase:
    id: str
    patient: str
    classes: np.ndarray
    ijk_to_ras: np.ndarray
    unknown: frozenset[str] = frozenset()
    slices: tuple[int, int] | None = None
    validation_slices: tuple[int, int] | None = None
    spacing_known: bool = True


@dataclass
class PhantomDataset:
    """Cases by split; ``read`` notes what was read."""

    test: tuple[PhantomCase, ...] = ()
    validation: tuple[PhantomCase, ...] = ()
    training: tuple[PhantomCase, ...] = ()
    structures: tuple[str, ...] = STRUCTURES
    seen: Callable[[Volume], None] = field(default=lambda volume: None)

    def read(self, case: PhantomCase) -> tuple[Volume, np.ndarray]:
        image = np.where(case.classes == IGNORED, 0, case.classes).astype(np.int16) * 100
        volume = Volume(image, case.ijk_to_ras, case.id, "CT")
        self.seen(volume)
        return volume, case.classes


def millimetres() -> np.ndarray:
    """Return a grid in the patient, turned by 20 degrees about the axis of the slices."""
    turn = np.deg2rad(20)
    matrix = np.eye(4)
    matrix[:2, :2] = [[-np.cos(turn), np.sin(turn)], [-np.sin(turn), -np.cos(turn)]]
    matrix[:3, :3] *= SPACING
    matrix[:3, 3] = (10, 20, -300)
    return matrix


def boxes(liver: int = 6, spleen: int = 4) -> np.ndarray:
    """Return classes with a box of each structure, sides in voxels of the plane; 0: not there."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[2:7, 4 : 4 + liver, 3 : 3 + liver] = 1
    classes[2:7, 4 : 4 + spleen, 14 : 14 + spleen] = 2
    return classes


def case(name: str, classes: np.ndarray | None = None, **fields: object) -> PhantomCase:
    fields = {"patient": name, "ijk_to_ras": millimetres(), **fields}
    return PhantomCase(name, classes=boxes() if classes is None else classes, **fields)


def shifted(by: int = 1) -> Callable[[PhantomCase, Volume, SegmentOptions], np.ndarray]:
    """Return predictions that lie ``by`` columns beside the truth."""

    def predict(case: PhantomCase, volume: Volume, options: SegmentOptions) -> np.ndarray:
        return np.roll(np.where(case.classes == IGNORED, 0, case.classes), by, axis=2)

    return predict


def always(classes: np.ndarray) -> Callable[[PhantomCase, Volume, SegmentOptions], np.ndarray]:
    return lambda case, volume, options: classes
