"""A case of the dataset file: an image and a label map, in files of any supported format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError
from GDLACore.imaging.pixels import open_header
from GDLACore.imaging.reading import on_grid, read_labels, read_volume
from GDLACore.imaging.segments import Segment, read_segments
from GDLACore.imaging.volume import Volume
from GDLACore.training.cases import IGNORED
from GDLACore.training.file_hash import sha256
from GDLACore.training.picture_files import is_picture, without_spacing


@dataclass(frozen=True)
class LabelledImage:
    """A case whose ``values`` say what means which structure in its label map.

    They are the label map's numbers or, for a segmentation of Slicer, names of segments or codes of
    their terminology: a type such as "10200004", with a modifier "64033007/7771000".
    """

    id: str
    patient: str
    image: Path
    labels: Path
    values: dict[str, tuple[int | str, ...]]
    unknown: frozenset[str]
    weight: float
    slices: tuple[int, int] | None
    validation_slices: tuple[int, int] | None

    @property
    def spacing_known(self) -> bool:
        return not is_picture(self.image)

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the image and its class indices, uint8 [k, j, i].

        Voxels in segments of two structures count as not annotated: nobody says which it is.

        Raises VolumeError if a file cannot be read or the grids differ, TrainingError if the label
        map holds nothing that ``values`` names, or lacks a segment they name.
        """
        volume = read_volume(self.image)
        if any(isinstance(value, str) for values in self.values.values() for value in values):
            classes = self._classes_of_segments(names, volume)
        else:
            classes = self._classes_of_values(names, volume)
        if not classes.any():
            raise TrainingError(
                f"The label map {self.labels} holds none of the values listed for case {self.id}.",
                "Check the case's `values` in the dataset file.",
            )
        return volume if self.spacing_known else without_spacing(volume), classes

    def _classes_of_values(self, names: tuple[str, ...], volume: Volume) -> np.ndarray:
        if (
            has_segments(self.labels)
            and open_header(self.labels, "NrrdImageIO").GetNumberOfComponents() > 1
        ):
            raise TrainingError(
                f"{self.labels} stores overlapping segments in layers, where a number means "
                "several of them.",
                f"Give the names of segments in `values` of case {self.id} in the dataset file.",
            )
        if is_picture(self.image) and is_picture(self.labels):
            # What each file says of its size on paper need not agree.
            labels = without_spacing(read_volume(self.labels))
            stored = on_grid(labels, without_spacing(volume), self.labels.name)
        else:
            stored = read_labels(self.labels, volume)
        classes = np.zeros(stored.shape, np.uint8)
        for index, name in enumerate(names, start=1):
            classes[np.isin(stored, self.values.get(name, ()))] = index
        return classes

    def _classes_of_segments(self, names: tuple[str, ...], volume: Volume) -> np.ndarray:
        segmented = read_segments(self.labels, volume)
        classes = np.zeros(volume.shape, np.uint8)
        for index, name in enumerate(names, start=1):
            for value in self.values.get(name, ()):
                meant = [s for s in segmented.segments if _means(str(value), s)]
                if not meant:
                    raise TrainingError(
                        f"{self.labels} has no segment {value!r}; it has "
                        f"{', '.join(segment.name for segment in segmented.segments)}.",
                        f"Correct `values` of case {self.id} in the dataset file.",
                    )
                for segment in meant:
                    mask = segmented.mask(segment)
                    classes[mask & (classes != 0) & (classes != index)] = IGNORED
                    classes[mask & (classes == 0)] = index
        return classes

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


def has_segments(labels: Path) -> bool:
    """Return whether the name is that of a segmentation of Slicer, whose segments have names."""
    return labels.name.lower().endswith(".seg.nrrd")


def _means(text: str, segment: Segment) -> bool:
    codes = f"{segment.type}/{segment.modifier}"
    return text.casefold() == segment.name.casefold() or text in (segment.type, codes)
