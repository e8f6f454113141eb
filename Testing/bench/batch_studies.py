"""A cohort made of the sample CT: crops of it, resampled, in several formats, some of them bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.resources import resource_path

_SUFFIXES = (".nii.gz", ".nrrd", ".mha", "")  # of the last kind are folders of DICOM files
_BAD_EVERY = 50


def write_cohort(folder: Path, count: int, seed: int = 1) -> Path:
    """Write ``count`` studies below ``folder``, every fiftieth of which cannot be segmented."""
    random = np.random.default_rng(seed)
    whole = _sample()
    for number in range(count):
        suffix = _SUFFIXES[number % len(_SUFFIXES)]
        path = folder / f"site{number % 7}" / f"study{number:03d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = _piece(whole, random)
        if suffix == "":
            _write_series(path, image, number)
        else:
            SimpleITK.WriteImage(image, str(path), useCompression=suffix != ".mha")
            if number % _BAD_EVERY == _BAD_EVERY - 1 or number % _BAD_EVERY == 0:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return folder


def _sample() -> SimpleITK.Image:
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    image = SimpleITK.GetImageFromArray(volume.array.astype(np.int16))
    origin, spacing, direction = sitk_geometry(volume.ijk_to_ras)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image


def _piece(whole: SimpleITK.Image, random: np.random.Generator) -> SimpleITK.Image:
    """Return 2 to 6 slices, cut to 70 to 100 % of each side, with other voxel sizes."""
    size = np.array(whole.GetSize())
    share = random.uniform(0.7, 1.0, 2)
    kept = np.array([*(size[:2] * share).astype(int), random.integers(2, 7)])
    start = [int(random.integers(0, most + 1)) for most in size - kept]
    crop = SimpleITK.RegionOfInterest(whole, kept.tolist(), start)
    factor = np.array([*random.uniform(0.8, 1.4, 2), 1.0])
    spacing = np.array(crop.GetSpacing()) * factor
    filter_ = SimpleITK.ResampleImageFilter()
    filter_.SetReferenceImage(crop)
    filter_.SetOutputSpacing(spacing.tolist())
    filter_.SetSize(np.maximum(1, (kept / factor).astype(int)).tolist())
    filter_.SetDefaultPixelValue(-1000)
    return filter_.Execute(crop)


def _write_series(folder: Path, image: SimpleITK.Image, number: int) -> None:
    folder.mkdir()
    series = generate_uid(entropy_srcs=[str(number)])
    direction = np.reshape(image.GetDirection(), (3, 3))
    columns, rows = image.GetSpacing()[:2]
    for k, pixels in enumerate(SimpleITK.GetArrayFromImage(image)):
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        slice_ = pydicom.dataset.FileDataset("", {}, bytes(128), meta)
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        slice_.StudyInstanceUID = slice_.SeriesInstanceUID = series
        slice_.Modality, slice_.SeriesNumber, slice_.InstanceNumber = "CT", 1, k + 1
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        slice_.ImagePositionPatient = [f"{value:.6f}" for value in position]
        slice_.ImageOrientationPatient = [f"{v:.8f}" for v in direction[:, :2].T.ravel()]
        slice_.PixelSpacing = [f"{rows:.8f}", f"{columns:.8f}"]
        slice_.SliceThickness = f"{image.GetSpacing()[2]:.6f}"
        slice_.Rows, slice_.Columns = pixels.shape
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 16, 15
        slice_.PixelRepresentation, slice_.RescaleSlope, slice_.RescaleIntercept = 1, 1, 0
        slice_.PixelData = pixels.astype("<i2").tobytes()
        slice_["PixelData"].VR = "OW"
        slice_.save_as(folder / f"{k:03d}.dcm", enforce_file_format=False)
