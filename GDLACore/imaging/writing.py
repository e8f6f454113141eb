"""Segmentations to files, on the grid of the image they belong to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from GDLACore.atomic import replacing, unwritable
from GDLACore.errors import OutputError
from GDLACore.imaging.dicom_seg import write_dicom_seg
from GDLACore.imaging.label_files import (
    write_metaimage,
    write_nifti,
    write_nifti_gzip,
)
from GDLACore.imaging.nrrd_file import write_nrrd
from GDLACore.imaging.percent import percent
from GDLACore.imaging.seg_nrrd import segmentation_header
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

_SEGMENTATION = ".seg.nrrd"  # 3D Slicer goes by the name when it reads one

LABEL_SUFFIXES = (_SEGMENTATION, ".nii.gz", ".nii", ".nrrd", ".mha")
DICOM_SUFFIX = ".dcm"
SEGMENTATION_SUFFIXES = (*LABEL_SUFFIXES, DICOM_SUFFIX)
CONFIDENCE_SUFFIXES = (".nrrd", ".nii.gz")

# Headers that name the file with the voxels.
_DETACHED = (".mhd", ".nhdr")
_LONGEST_HEADER = 1 << 16

_DICOM_MAGIC = b"DICM"
_DICOM_PREAMBLE = 128


def write_segmentation(
    path: str | Path,
    labels: np.ndarray,
    volume: Volume,
    card: ModelCard,
    *,
    overwrite: bool = False,
) -> Path:
    """Write ``labels`` [k, j, i], values 0 to ``len(card.labels)``, on the grid of ``volume``.

    ``.seg.nrrd`` is a segmentation for 3D Slicer with names, colours and terminology; ``.nii.gz``,
    ``.nii``, ``.nrrd`` and ``.mha`` are plain label maps. ``.dcm`` is a DICOM segmentation of a
    volume that was read from DICOM; see ``dicom_seg.write_dicom_seg``. The file appears whole or
    not at all. Raises OutputError if it cannot be written.
    """
    path = Path(path)
    if labels.shape != volume.array.shape[:3]:
        raise ValueError(f"labels {labels.shape} are not on the grid {volume.array.shape[:3]}")
    check_output(path, inputs=(), overwrite=overwrite, suffixes=SEGMENTATION_SUFFIXES)
    labels = labels.astype(np.uint8 if card.classes <= 256 else np.uint16, copy=False)
    if _suffix(path, SEGMENTATION_SUFFIXES) == DICOM_SUFFIX:
        write_dicom_seg(path, labels, volume, card)
        return path
    with replacing(path) as part, part.open("wb") as file:
        match _suffix(path, LABEL_SUFFIXES):
            case ".seg.nrrd":
                write_nrrd(
                    file, labels, volume.ijk_to_ras, segmentation_header(card, card.labels, volume)
                )
            case ".nrrd":
                write_nrrd(file, labels, volume.ijk_to_ras, {})
            case ".nii.gz":
                write_nifti_gzip(file, labels, volume.ijk_to_ras)
            case ".nii":
                write_nifti(file, labels, volume.ijk_to_ras)
            case ".mha":
                write_metaimage(file, labels, volume.ijk_to_ras)
    return path


def write_confidence(
    path: str | Path, confidence: np.ndarray, volume: Volume, *, overwrite: bool = False
) -> Path:
    """Write ``confidence`` [k, j, i], 0 to 1 or NaN, as percent (uint8) on the grid of ``volume``.

    0 where there is none (NaN). The name ends with one of ``CONFIDENCE_SUFFIXES``. The file appears
    whole or not at all. Raises OutputError if it cannot be written.
    """
    path = Path(path)
    if confidence.shape != volume.array.shape[:3]:
        raise ValueError(f"{confidence.shape} is not the grid {volume.array.shape[:3]}")
    check_output(path, inputs=(), overwrite=overwrite, suffixes=CONFIDENCE_SUFFIXES)
    whole = np.stack([percent(slice_) for slice_ in confidence])
    with replacing(path) as part, part.open("wb") as file:
        match _suffix(path, CONFIDENCE_SUFFIXES):
            case ".nrrd":
                write_nrrd(file, whole, volume.ijk_to_ras, {})
            case ".nii.gz":
                write_nifti_gzip(file, whole, volume.ijk_to_ras)
    return path


def check_output(
    path: str | Path,
    *,
    inputs: Iterable[str | Path],
    overwrite: bool,
    suffixes: tuple[str, ...] = LABEL_SUFFIXES,
) -> None:
    """Raise OutputError if ``path`` could not be written later; costs nothing, so call it first.

    ``inputs`` are files and folders that must not be written over, ``overwrite`` allows to replace
    any other file, ``suffixes`` are the endings that name a format.
    """
    path = Path(path)
    _suffix(path, suffixes)
    try:
        _check_place(path, inputs, overwrite)
    except OSError as error:
        raise unwritable(path, error) from error


def _check_place(path: Path, inputs: Iterable[str | Path], overwrite: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", "Give the name of a file.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist.", "Create it first.")
    if path.exists():
        if any(_holds(Path(source), path) for source in inputs):
            raise OutputError(f"{path} is an input.", "Choose another name for the output.")
        if not overwrite:
            raise OutputError(
                f"{path} exists already.", "Choose another name, or allow to replace it (--force)."
            )
    # Permission bits do not tell about read-only disks, quotas and Windows: try it.
    tempfile.TemporaryFile(dir=path.parent).close()


def _suffix(path: Path, suffixes: tuple[str, ...]) -> str:
    name = path.name.lower()
    if name.endswith(_SEGMENTATION) and _SEGMENTATION not in suffixes:
        raise OutputError(
            f"{path} is a name for a segmentation.",
            f"End the name with {' or '.join(suffixes)}, without .seg before it.",
        )
    for suffix in suffixes:
        if name.endswith(suffix) and len(name) > len(suffix):
            return suffix
    raise OutputError(
        f"{path} does not say in which format to write.",
        f"End the name with {' or '.join(suffixes)}.",
    )


def _holds(source: Path, path: Path) -> bool:
    """Say whether the existing file ``path`` is the input ``source`` or belongs to it."""
    if source.is_dir():
        inside = source.resolve() in path.resolve().parents
        with path.open("rb") as file:
            return inside and file.read(_DICOM_PREAMBLE + 4)[_DICOM_PREAMBLE:] == _DICOM_MAGIC
    if not source.exists():
        return False
    if source.suffix.lower() in _DETACHED and source.resolve().parent == path.resolve().parent:
        with source.open("rb") as file:
            if path.name.encode() in file.read(_LONGEST_HEADER):
                return True
    return source.samefile(path)
