"""Make Resources/samples from the sdist of TotalSegmentator 2.18.0 (Apache-2.0, on PyPI).

    python docs/prepare_samples.py path/to/totalsegmentator-2.18.0

The CT series is published without the patient's name, but with the hospital's address, the dates,
the procedure's number and the scanner's serial number. Our copy keeps only what describes the
image: a list of what stays cannot forget a private tag. The compressed pixels stay byte for byte.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from pathlib import Path

import pydicom

SAMPLES = Path(__file__).resolve().parent.parent / "Resources" / "samples"

KEPT = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality Manufacturer
    ManufacturerModelName SeriesDescription PatientName PatientID BodyPartExamined
    ContrastBolusAgent SliceThickness KVP ReconstructionDiameter ConvolutionKernel
    PatientPosition StudyInstanceUID SeriesInstanceUID StudyID SeriesNumber AcquisitionNumber
    InstanceNumber ImagePositionPatient ImageOrientationPatient SliceLocation SamplesPerPixel
    PhotometricInterpretation Rows Columns PixelSpacing BitsAllocated BitsStored HighBit
    PixelRepresentation SmallestImagePixelValue LargestImagePixelValue WindowCenter WindowWidth
    RescaleIntercept RescaleSlope RescaleType WindowCenterWidthExplanation PixelData
""".split()

# Published empty; they must not return with another version of the source.
EMPTY = (
    "SOPInstanceUID",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
)


def stripped(source: Path, number: int) -> pydicom.FileDataset:
    """Return the image in ``source`` with the attributes in KEPT and no others."""
    image = pydicom.dcmread(source)
    for element in list(image):
        if element.keyword not in KEPT:
            del image[element.tag]
    for keyword in EMPTY:
        setattr(image, keyword, "")
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "Only attributes that describe the image were kept"
    # The file header repeats the original UID, which spells out the scanner and the date.
    uid = uuid.uuid5(uuid.NAMESPACE_OID, f"GDLASegmenter ct-abdomen-dicom {number}")
    image.file_meta.MediaStorageSOPInstanceUID = f"2.25.{uid.int}"
    del image.file_meta.SourceApplicationEntityTitle
    return image


def main(sdist: Path) -> None:
    reference_files = sdist / "tests" / "reference_files"
    series = SAMPLES / "ct-abdomen-dicom"
    series.mkdir(parents=True, exist_ok=True)
    sources = sorted((reference_files / "example_ct_dicom").iterdir())
    for number, source in enumerate(sources, start=1):
        stripped(source, number).save_as(series / f"IM{number:04d}.dcm")
    shutil.copyfile(
        reference_files / "example_seg_dicom.nii.gz", SAMPLES / "ct-abdomen-reference.nii.gz"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
