"""A case of the dataset file: an image and a label map, in files of any supported format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.training.file_hash import sha256


@dataclass(frozen=True)
class LabelledImage:
    """A case whose label map's ``values`` say which of its numbers mean which structure."""

    id: str
    patient: str
    image: Path
    labels: Path
    values: dict[str, tuple[int, ...]]
    unknown: frozenset[str]
    weight: float
    slices: tuple[int, int] | None
    validation_slices: tuple[int, int] | None

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the image and its class indices, uint8 [k, j, i].

        Raises VolumeError if a file cannot be read or the grids differ, TrainingError if the label
        map holds nothing that ``values`` names.
        """
        volume = read_volume(self.image)
        stored = read_labels(self.labels, volume)
        classes = np.zeros(stored.shape, np.uint8)
        for index, name in enumerate(names, start=1):
            classes[np.isin(stored, self.values.get(name, ()))] = index
        if not classes.any():
            raise TrainingError(
                f"The label map {self.labels} holds none of the values listed for case {self.id}.",
                "Check the case's `values` in the dataset file.",
            )
        return volume, classes

    def description(self) -> dict[str, Any]:
        """Return what the case teaches, with the SHA-256 of its files in place of their paths."""
        return {
            "patient": self.patient,
            "image": sha256(self.image),
            "labels": sha256(self.labels),
            "values": self.values,
            "unknown": sorted(self.unknown),
            "weight": self.weight,
            "slices": self.slices,
            "validation_slices": self.validation_slices,
        }
