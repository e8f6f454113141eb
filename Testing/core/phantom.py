"""Small volumes, labels and a card to test with."""

from __future__ import annotations

import numpy as np

from GDLACore.imaging.volume import Volume
from GDLACore.model.card import (
    Architecture,
    Code,
    IntensityProfile,
    Label,
    ModelCard,
    Provenance,
    Terminology,
)


def _rotation(degrees: float) -> np.ndarray:
    """About the patient's left-right axis, as a tilted gantry does."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


GEOMETRIES = {
    "axial": np.eye(3),
    "coronal storage": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "flipped": np.diag([-1, -1, 1]),
    "oblique": _rotation(22) @ np.diag([-1, -1, 1]),
    "left-handed": np.diag([1, 1, -1]),
    "left-handed oblique": _rotation(22) @ np.diag([1, -1, 1]),
}


_CODES = {"liver": "10200004", "spleen": "78961009", "aorta": "15825003"}  # SNOMED CT


def _terminology(name: str) -> Terminology:
    anatomy = Code("SCT", "123037004", "Anatomical Structure")
    return Terminology(anatomy, Code("SCT", _CODES.get(name, "85756007"), name))


def make_card(names: tuple[str, ...] = ("liver", "spleen", "aorta")) -> ModelCard:
    return ModelCard(
        name="abdomen",
        version="1.2",
        title="Abdomen",
        modality="CT",
        architecture=Architecture("b0", "gdla"),
        in_channels=1,
        input_size=64,
        labels=tuple(
            Label(value, name, _terminology(name), (221, 130, 5 * value % 256))
            for value, name in enumerate(names, start=1)
        ),
        intensity=IntensityProfile("ct_window", -160, 240),
        slice_axis="axial",
        view="identity",
        resampling="spline3",
        provenance=Provenance("here", "phantoms", "Apache-2.0", "tests", "none"),
    )


def make_volume(axes: np.ndarray, shape: tuple[int, ...] = (6, 7, 8)) -> Volume:
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = axes * (0.75, 1.5, 4.0)
    ijk_to_ras[:3, 3] = (-123.456789, 45.5, 1000.25)
    return Volume(np.zeros(shape, np.int16), ijk_to_ras, "phantom")


def make_labels(shape: tuple[int, ...] = (6, 7, 8)) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 3, shape).astype(np.uint8)
