"""Corrected cases as training cases: whose segment is which structure, and what of it teaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.errors import TrainingError, VolumeError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.segments import Segment, read_segments
from GDLACore.imaging.suitability import check_volume
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.training.cases import IGNORED
from GDLACore.training.file_hash import sha256
from GDLACore.training.picture_files import is_picture
from GDLACore.training.segment_matching import Matching, match_segments
from GDLACore.training_set import CorrectedCase

Ranges = tuple[tuple[int, int], ...]

# Every CT shows fat or air, which are this dark; no MR image is as dark as air in CT.
_FAT_HU, _AIR_HU = -100, -900


@dataclass(frozen=True)
class ReviewedCase:
    """A case of which only some slices teach; it can take a dataset's case's place.

    ``taught`` are those slices: ranges ``a <= n < b`` along the array axis ``axis`` (0 = k).
    ``matches`` are the segments of each structure by the structure's name. A structure without any
    is ``unknown``, one whose segments are empty is known to be absent. ``files`` are the SHA-256 of
    the two files.
    """

    id: str
    patient: str
    image: Path
    segmentation: Path
    axis: int
    taught: Ranges
    matches: dict[str, tuple[Segment, ...]]
    unknown: frozenset[str]
    files: dict[str, str]
    weight: float = 1.0
    slices: tuple[int, int] | None = None
    validation_slices: tuple[int, int] | None = None

    @property
    def spacing_known(self) -> bool:
        return not is_picture(self.image)

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the image and its class indices, uint8 [k, j, i].

        IGNORED are the slices that do not teach and the voxels that two structures claim. Raises
        VolumeError if a file cannot be read or the grids differ.
        """
        volume = read_volume(self.image)
        segmented = read_segments(self.segmentation, volume)
        classes = np.zeros(volume.shape, np.uint8)
        for index, name in enumerate(names, start=1):
            for segment in self.matches.get(name, ()):
                mask = segmented.mask(segment)
                free = (classes == 0) | (classes == index)
                classes[mask] = np.where(free, index, IGNORED)[mask]
        silent = np.moveaxis(classes, self.axis, 0)
        silent[~_within(self.taught, len(silent))] = IGNORED
        return volume, classes

    def description(self) -> dict[str, Any]:
        """Return what the case teaches, with the SHA-256 of its files in place of their paths."""
        return {
            "patient": self.patient,
            **self.files,
            "structures": {
                name: [[segment.layer, segment.value] for segment in segments]
                for name, segments in sorted(self.matches.items())
            },
            "axis": self.axis,
            "taught slices": [list(span) for span in self.taught],
        }


@dataclass(frozen=True)
class ExaminedCase:
    """A case that was read once and found usable, and what was found in it.

    ``spacing`` is the distance, mm, between the slices that were reviewed, and ``as_segmented``
    tells whether the model cuts the image into the same; ``extent`` is the shorter side, mm, of the
    model's slices; ``disputed`` counts the voxels that two structures claim.
    """

    case: ReviewedCase
    matching: Matching
    spacing: float
    as_segmented: bool
    extent: float
    disputed: int

    def held_out(self, taught: Ranges) -> ReviewedCase:
        """Return the case to judge by, of which only ``taught`` need be segmented."""
        span = (taught[0][0], taught[-1][1]) if self.as_segmented else None
        return replace(self.case, taught=taught, validation_slices=span)

    @property
    def slices(self) -> list[int]:
        """Return the reviewed slices."""
        return [n for span in self.case.taught for n in range(*span)]


def examine(corrected: CorrectedCase, card: ModelCard) -> ExaminedCase:
    """Read a corrected case and return it as a case to teach the structures of ``card``.

    Raises TrainingError or VolumeError, naming the case, if a file of it cannot be used, if none of
    its segments is a structure of the model, or if no slice of it was reviewed.
    """
    try:
        volume = read_volume(corrected.image)
        segmented = read_segments(corrected.segmentation, volume)
    except VolumeError as error:
        raise VolumeError(f"Case {corrected.id}: {error.message}", error.hint) from error
    matching = match_segments(segmented.segments, card)
    _check_image(volume, corrected, card)
    if not matching.whole:
        raise TrainingError(
            f"No segment of case {corrected.id} ({_listed(s.name for s in segmented.segments)}) "
            f"is a structure of {card.name} as a whole.",
            "Give the segments their terminology in Segment Editor, or leave the case out.",
        )
    length = volume.shape[corrected.axis]
    names = tuple(label.name for label in card.labels)
    case = ReviewedCase(
        id=corrected.id,
        patient=corrected.patient,
        image=corrected.image,
        segmentation=corrected.segmentation,
        axis=corrected.axis,
        taught=_reviewed(corrected, length),
        matches=matching.whole,
        unknown=frozenset(names) - matching.whole.keys(),
        files={"image": sha256(corrected.image), "segmentation": sha256(corrected.segmentation)},
    )
    _, classes = case.read(names)
    taught = np.moveaxis(classes, case.axis, 0)[_within(case.taught, length)]
    through, *within = slice_view(volume, card.slice_axis, card.view).axes
    return ExaminedCase(
        case=case,
        matching=matching,
        spacing=volume.spacing[2 - case.axis],
        as_segmented=through == case.axis,
        extent=min(volume.shape[axis] * volume.spacing[2 - axis] for axis in within),
        disputed=int((taught == IGNORED).sum()),
    )


def _check_image(volume: Volume, corrected: CorrectedCase, card: ModelCard) -> None:
    """Refuse images of another kind than the model's, of which segmenting only warns."""
    try:
        check_volume(volume, card)
    except VolumeError as error:
        raise VolumeError(f"Case {corrected.id}: {error.message}", error.hint) from error
    lowest = float(volume.array.min())
    strange = {"CT": lowest > _FAT_HU, "MR": lowest <= _AIR_HU}.get(card.modality, lowest < 0)
    if strange:
        raise TrainingError(
            f"Case {corrected.id} is no {card.modality} image as {card.name} is for: its lowest "
            f"value is {lowest:g}.",
            "Leave it out, or add the original image.",
        )


def _reviewed(corrected: CorrectedCase, length: int) -> Ranges:
    """Return the reviewed slices as ranges in order, or raise TrainingError if there are none."""
    ranges = ((0, length),) if corrected.reviewed is None else corrected.reviewed
    if not ranges:
        raise TrainingError(
            f"No slice of case {corrected.id} was reviewed.",
            "Mark the slices that you have corrected, or leave the case out.",
        )
    if any(not 0 <= first < end <= length for first, end in ranges):
        raise TrainingError(
            f"Case {corrected.id} has {length} slices, but others are said to be reviewed "
            f"({_listed(f'{a}:{b}' for a, b in ranges)}).",
            "Add the case to the training set again.",
        )
    return ranges_of(n for span in ranges for n in range(*span))


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Return whole numbers as the fewest ranges ``a <= n < b`` that hold them, in order."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


def _within(ranges: Ranges, length: int) -> np.ndarray:
    inside = np.zeros(length, bool)
    for first, end in ranges:
        inside[first:end] = True
    return inside


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
