"""DICOM segmentations (``.dcm``): labels as a PACS keeps them, beside the images they belong to.

One binary segment per structure of the card, numbered as its label, on the very frames of the
images: their positions are copied, so that missing slices, uneven spacing and a tilted gantry stay
what they are. The object is of the images' patient and study, and a series of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.errors import GDLAError, OutputError
from GDLACore.imaging.dicom_codes import (
    CAUTION,
    SERIAL_NUMBER,
    SOFTWARE,
    UTF_8,
    highdicom_module,
    long_string,
    next_series_number,
    segment_description,
)
from GDLACore.imaging.dicom_patient import put_back, set_aside
from GDLACore.imaging.dicom_silence import quiet
from GDLACore.imaging.dicom_source import SourceFrame, put, source_frames
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.dataset import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # an image of anything, with a place or without


def check_dicom_source(volume: Volume) -> list[SourceFrame]:
    """Return what the slices of ``volume`` were read from, as ``source_frames`` does.

    Raises OutputError if a DICOM segmentation of ``volume`` could not be written later: an empty
    one is made.
    """
    highdicom_module()
    sources = source_frames(volume)
    with _one_sentence(volume):
        nothing = np.zeros((1, *volume.shape[1:]), np.uint8)
        _segmentation(nothing, sources, [_any_segment()], "").save_as(BytesIO())
    return sources


def write_dicom_seg(path: Path, labels: np.ndarray, volume: Volume, card: ModelCard) -> None:
    """Write ``labels`` [k, j, i], values 0 to ``len(card.labels)``, as a DICOM segmentation.

    ``volume`` was read from DICOM files, which are still there. Structures that no voxel has are
    listed and have no frame; if there is nothing at all, each has one empty frame, because a
    segmentation without frames is not allowed. The file appears whole or not at all and replaces
    another. Raises OutputError if it cannot be written.
    """
    highdicom_module()
    sources = source_frames(volume)
    with _one_sentence(volume):
        segments = [segment_description(label, card) for label in card.labels]
        segmentation = _segmentation(labels, sources, segments, card.title)
    with quiet(), replacing(path) as part:
        segmentation.save_as(part)


@contextmanager
def _one_sentence(volume: Volume) -> Iterator[None]:
    """Tell highdicom's troubles with the headers of ``volume`` as an OutputError."""
    with quiet():
        try:
            yield
        except GDLAError:
            raise
        except Exception as error:  # highdicom reports wrong headers by many exception types
            raise OutputError(
                f"The headers of {volume.name} are not what DICOM demands, so that no DICOM "
                f"segmentation can refer to them ({type(error).__name__}).",
                "Write another format, such as .seg.nrrd.",
            ) from error


def _any_segment() -> SegmentDescription:
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(1, "any", codes.SCT.Organ, codes.SCT.Organ, "MANUAL")


def _segmentation(
    labels: np.ndarray,
    sources: list[SourceFrame],
    segments: list[SegmentDescription],
    title: str,
) -> Segmentation:
    from highdicom.seg import Segmentation
    from pydicom.uid import generate_uid

    aside = [set_aside(source.dataset) for source in sources][0]
    places = {generate_uid(prefix=None): source for source in sources}
    images = [_single_frame(source.dataset, uid) for uid, source in places.items()]
    first = sources[0].dataset
    if not labels.any():
        images, labels = images[:1], labels[:1]
    segmentation = Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(labels),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=generate_uid(prefix=None),
        series_number=next_series_number(int(first.get("SeriesNumber") or 0)),
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=SOFTWARE,
        manufacturer_model_name=SOFTWARE,
        software_versions=__version__,
        device_serial_number=SERIAL_NUMBER,
        content_label="SEGMENTATION",
        content_description=long_string(f"{CAUTION} {title}"),
        series_description=long_string(f"Segmentation: {title}"),
        specific_character_set=UTF_8,
    )
    _check_texts(segmentation, sources[0])
    put_back(segmentation, aside)
    if "ImagePositionPatient" not in first:
        put(segmentation, "PatientOrientation", first.get("PatientOrientation"))
    segmentation.ContentCreatorName = ""  # must be there: nobody did it by hand
    _refer(segmentation, places)
    return segmentation


def _check_texts(segmentation: Segmentation, source: SourceFrame) -> None:
    """Check that ``segmentation`` repeats no text of ``source`` that nobody can read."""
    image = source.dataset
    for keyword in sorted(source.unreadable):
        if keyword in segmentation and segmentation[keyword].value == image[keyword].value:
            raise OutputError(
                f"The {keyword} of {source.file} cannot be copied: it has letters that are not of "
                "the character set that the image declares (SpecificCharacterSet).",
                "Correct the SpecificCharacterSet of the images, or write another format, such as "
                ".seg.nrrd.",
            )


def _single_frame(image: Dataset, uid: str) -> Dataset:
    """Return ``image`` as highdicom takes the slices of a series.

    It tells them apart by their UIDs, which are those of files, where a file may hold many; and it
    looks for the geometry of other kinds of images elsewhere than at the root.
    """
    from pydicom.dataset import Dataset

    single = Dataset()
    single.update(image)
    put(single, "SOPClassUID", _SECONDARY_CAPTURE)
    put(single, "SOPInstanceUID", uid)
    return single


def _refer(segmentation: Segmentation, places: dict[str, SourceFrame]) -> None:
    """Let every reference name the file, and the frame in it, that it stands for."""
    whole = {source.instance_uid: _reference(source) for source in places.values()}
    segmentation.SourceImageSequence = list(whole.values())
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = list(whole.values())
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in groups.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                # Frames of several segments may share an item: None is one that was seen before.
                source = places.get(item.ReferencedSOPInstanceUID)
                if source is None:
                    continue
                put(item, "ReferencedSOPClassUID", source.class_uid)
                put(item, "ReferencedSOPInstanceUID", source.instance_uid)
                if source.number is not None:
                    item.ReferencedFrameNumber = source.number


def _reference(source: SourceFrame) -> Dataset:
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = source.class_uid
    reference.ReferencedSOPInstanceUID = source.instance_uid
    return reference
