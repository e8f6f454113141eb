"""The layouts of Synapse and ACDC: ``.npz`` files of slices, ``.npz`` or ``.h5`` of volumes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.errors import TrainingError
from GDLACore.training.array_volume import ArrayForm, ArrayVolume
from GDLACore.training.cases import Case
from GDLACore.training.folders import files_below
from GDLACore.training.splits import FoundCase

_NAMES = re.IGNORECASE | re.ASCII
_ENDING = re.compile(r"\.(npz|npy\.h5|h5|hdf5)$", re.IGNORECASE)
_AS_STORED = ((-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0, 0, 0, 1.0))
# Rows from the patient's right to the left, columns from front to back: transposed displays.
_TRANSPOSED = ((0.0, -1.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0, 0, 0, 1.0))


@dataclass(frozen=True)
class ArrayLayout:
    """How the files of a layout are named and what their arrays are.

    ``name`` matches a file's whole name but its ending, with the groups ``patient``, ``slice`` for
    the slice's number and ``phase`` or ``phase_of_slice`` for which of a patient's volumes it is.
    """

    structures: tuple[str, ...]
    form: ArrayForm
    name: re.Pattern[str]
    example: str


ARRAY_LAYOUTS = {
    "synapse": ArrayLayout(
        structures=(
            "Aorta",
            "Gallbladder",
            "Left kidney",
            "Right kidney",
            "Liver",
            "Pancreas",
            "Spleen",
            "Stomach",
        ),
        # CT from -125 to 275 HU is stored as 0 to 1: the model's own window makes it that again.
        form=ArrayForm("synapse", _TRANSPOSED, 400.0, -125.0, (0.0, 1.0)),
        name=re.compile(r"(?P<patient>case_?\d+)(_slice_?(?P<slice>\d+))?", _NAMES),
        example="case0005_slice000.npz and case0001.npy.h5",
    ),
    "acdc": ArrayLayout(
        structures=("Right ventricle", "Myocardium", "Left ventricle"),
        form=ArrayForm("acdc", _AS_STORED),
        name=re.compile(
            r"(?P<patient>(case|patient)_?\d+)(_volume)?(_(?P<phase>E[DS]|frame_?\d+))?"
            r"(_slice_?(?P<phase_of_slice>E[DS])?_?(?P<slice>\d+))?",
            _NAMES,
        ),
        example="case_001_sliceED_0.npz and case_002_volume_ED.npz",
    ),
}


def find_array_cases(layout: ArrayLayout, folder: Path) -> list[FoundCase]:
    """Return a case for every volume below ``folder``, its slices put together.

    Raises TrainingError, naming the file, if there are none, if a name does not say which patient
    it is, if a slice is missing or there twice, or if a volume is there twice.
    """
    patients: dict[tuple[str, int], str] = {}  # case0001, case_0001 and case1 are one
    slices: dict[tuple[Path, str, str], dict[int, Path]] = {}
    volumes: list[tuple[Path, str, str]] = []
    for file in files_below(folder):
        stem, endings = _ENDING.subn("", file.name)
        if not endings:
            continue
        match = layout.name.fullmatch(stem)
        if match is None:
            raise TrainingError(
                f"The name of {file} does not say which patient it shows.",
                f"Files of this layout are named like {layout.example}.",
            )
        spelled = match["patient"].lower()
        patient = patients.setdefault(_letters_and_number(spelled), spelled)
        groups = match.groupdict()
        phase = groups.get("phase") or groups.get("phase_of_slice")
        volume = f"{patient}_{phase.upper()}" if phase else patient
        if match["slice"] is None:
            volumes.append((file, patient, volume))
            continue
        # Slices of one volume lie together: those of another folder are another copy of it.
        others = slices.setdefault((file.parent, patient, volume), {})
        if (other := others.setdefault(int(match["slice"]), file)) is not file:
            raise TrainingError(f"{other} and {file.name} are the same slice of {volume}.")
    found = [
        _found(layout, patient, volume, (file,), folder) for file, patient, volume in volumes
    ] + [
        _found(layout, patient, volume, _in_order(files, volume, parent), folder)
        for (parent, patient, volume), files in slices.items()
    ]
    if not found:
        raise TrainingError(
            f"{folder} holds no .npz or .h5 files.",
            f"Files of this layout are named like {layout.example}.",
        )
    return sorted(found, key=lambda item: item.path)


def one_case_per_slice(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return a case for each slice of each volume, as the published training counts its images."""
    return tuple(
        replace(case, id=f"{case.id}_slice{k:03}", slices=(k, k + 1))
        for case in cases
        if isinstance(case, ArrayVolume)
        for k in range(case.depth())
    )


def _letters_and_number(name: str) -> tuple[str, int]:
    letters = name.rstrip("0123456789")
    return letters.rstrip("_"), int(name[len(letters) :])


def _found(
    layout: ArrayLayout, patient: str, volume: str, files: tuple[Path, ...], folder: Path
) -> FoundCase:
    return FoundCase(ArrayVolume(volume, patient, files, layout.form), files[0].relative_to(folder))


def _in_order(files: dict[int, Path], volume: str, folder: Path) -> tuple[Path, ...]:
    numbers = sorted(files)
    for number, expected in zip(numbers, range(numbers[0], numbers[-1] + 1), strict=False):
        if number != expected:
            raise TrainingError(
                f"Slice {expected} of {volume} is missing in {folder}, between "
                f"{files[expected - 1].name} and {files[number].name}.",
                "Copy the slices of the volume again, all of them.",
            )
    return tuple(files[number] for number in numbers)
