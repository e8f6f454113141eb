"""The sample as series that a PACS would hold: with UIDs, compressed by the scanner and not."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scan import write_dicom

from GDLACore.imaging.reading import read_volume

_PADDED = -1024  # HU of a stored 0


def write_compressed(folder: Path, count: int) -> None:
    """Write ``count`` files of 512 x 512, JPEG 2000, that DICOM objects can refer to."""
    write_dicom(folder, count)
    study, reference = generate_uid(), generate_uid()
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = CTImageStorage
        file.StudyInstanceUID, file.FrameOfReferenceUID = study, reference
        file.save_as(path)


def write_plain(folder: Path, compressed: Path) -> None:
    """Write the series ``compressed`` again, not compressed."""
    folder.mkdir()
    stored = (read_volume(compressed).array.astype("int32") - _PADDED).astype("<u2")
    for path, pixels in zip(sorted(compressed.iterdir()), stored, strict=True):
        file = pydicom.dcmread(path)
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.PixelData = pixels.tobytes()
        file["PixelData"].VR = "OW"
        file["PixelData"].is_undefined_length = False
        file.save_as(folder / path.name)
