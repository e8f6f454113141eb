"""A CT of any length made of the sample series: real anatomy, as DICOM and as NRRD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import generate_uid

from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.resources import resource_path

_SAMPLE = ("samples", "ct-abdomen-dicom")
_NOISE_HU = 4


def write_nrrd(path: Path, count: int) -> None:
    """Write ``count`` slices of 512 x 512, int16, not compressed, as 3D Slicer would hold them.

    The sample's slices run up and down in turn, with some noise, so that no two are alike.
    """
    sample = read_volume(resource_path(*_SAMPLE))
    random = np.random.default_rng(0)
    slices = []
    for index in _to_and_fro(len(sample.array), count):
        noise = random.integers(-_NOISE_HU, _NOISE_HU + 1, sample.array.shape[1:], np.int16)
        slices.append(sample.array[index] + noise)
    image = sitk.GetImageFromArray(np.stack(slices))
    origin, spacing, direction = sitk_geometry(sample.ijk_to_ras)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path), useCompression=False)


def write_dicom(folder: Path, count: int) -> None:
    """Write a series of ``count`` files, compressed as the scanner did (JPEG 2000)."""
    folder.mkdir()
    paths = sorted(resource_path(*_SAMPLE).glob("*.dcm"))
    study = [pydicom.dcmread(path) for path in paths]
    study.sort(key=lambda file: float(file.ImagePositionPatient[2]))
    bottom, step = study[0].ImagePositionPatient, _step(study)
    series = generate_uid()
    for number, index in enumerate(_to_and_fro(len(study), count)):
        file = study[index]
        file.SeriesInstanceUID = series
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        file.InstanceNumber = number + 1
        file.ImagePositionPatient = [*bottom[:2], float(bottom[2]) + number * step]
        file.save_as(folder / f"{number:04}.dcm")


def _step(study: list[pydicom.Dataset]) -> float:
    first, second = (float(file.ImagePositionPatient[2]) for file in study[:2])
    return second - first


def _to_and_fro(length: int, count: int) -> list[int]:
    there_and_back = [*range(length), *range(length - 2, 0, -1)]
    return [there_and_back[index % len(there_and_back)] for index in range(count)]
