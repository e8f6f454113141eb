"""What there is to learn from in a folder: cases that were added to it, and pairs of files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from GDLACore.errors import TrainingError
from GDLACore.training_set.case import CorrectedCase, read_case

CASE_FOLDER = r"case-[0-9a-f]{8}"

_SEGMENTATION = ".seg.nrrd"
_IMAGES = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".bmp")


def read_training_set(folder: str | os.PathLike[str]) -> tuple[CorrectedCase, ...]:
    """Return the cases in ``folder``, in the order of their names; no image is read.

    Beside the folders that ``add_case`` made, pairs of files count: NAME.seg.nrrd with NAME.nrrd,
    NAME.nii.gz or another image. Of these all slices are taken for reviewed, and each for a patient
    of its own. Images without a segmentation teach nothing and are passed over.

    Raises TrainingError, naming the file, if there is no case, or one that is not whole.
    """
    folder = Path(folder)
    try:
        files = sorted(
            # Hidden ones are others': macOS puts one beside every file on a foreign disk.
            path
            for path in folder.iterdir()
            if path.is_file() and not path.name.startswith(".")
        )
        folders = case_folders(folder)
    except OSError as error:
        raise TrainingError(
            f"The training set {folder} cannot be read: {error.strerror or error}.",
            "Choose the folder that the cases were added to.",
        ) from error
    names = [path for path in files if path.name.lower().endswith(_SEGMENTATION)]
    cases = [read_case(path) for path in folders] + [_pair(path, files) for path in names]
    if not cases:
        raise TrainingError(
            f"{folder} holds no case to learn from.",
            "Add cases to it in 3D Slicer, or pairs of NAME.nrrd and NAME.seg.nrrd.",
        )
    return tuple(cases)


def case_folders(folder: Path) -> list[Path]:
    """Return the folders of the cases that ``add_case`` wrote, sorted. Raises OSError."""
    return sorted(
        path for path in folder.iterdir() if re.fullmatch(CASE_FOLDER, path.name) and path.is_dir()
    )


def _pair(segmentation: Path, files: list[Path]) -> CorrectedCase:
    name = segmentation.name[: -len(_SEGMENTATION)]
    images = [path for path in files if path != segmentation and _is_image_called(path, name)]
    if not images:
        raise TrainingError(
            f"{segmentation} has no image beside it.",
            f"Put its image there as {name}.nrrd or {name}.nii.gz.",
        )
    if len(images) > 1:
        raise TrainingError(
            f"{images[0]} and {images[1].name} could both be the image of {segmentation.name}.",
            "Leave one of them.",
        )
    return CorrectedCase(
        id=name,
        patient=name,
        image=images[0],
        segmentation=segmentation,
        model=None,
        axis=0,
        reviewed=None,
    )


def _is_image_called(path: Path, name: str) -> bool:
    return any(path.name.lower() == f"{name}{suffix}".lower() for suffix in _IMAGES)
