"""Volumes as a DICOM structured report (TID 1500) that refers to a DICOM segmentation.

One measurement group per structure of the card (TID 1411): what it is, where, who measured it, and
its volume in millilitres; 0 where nothing was found, because it was looked for. Nobody has verified
the report, and it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.errors import GDLAError, OutputError
from GDLACore.imaging.dicom_codes import (
    CAUTION,
    SERIAL_NUMBER,
    SOFTWARE,
    UTF_8,
    algorithm_parameters,
    concept,
    highdicom_module,
    long_string,
    next_series_number,
)
from GDLACore.imaging.dicom_patient import put_back, set_aside
from GDLACore.imaging.dicom_seg import check_dicom_source
from GDLACore.imaging.dicom_silence import quiet
from GDLACore.imaging.dicom_source import SourceFrame
from GDLACore.imaging.measure import StructureRow
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import Code, Label, ModelCard

if TYPE_CHECKING:
    from highdicom.sr import (
        ComprehensiveSR,
        FindingSite,
        MeasurementReport,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.dataset import Dataset

_MILLILITRE = ("mL", "milliliter")  # UCUM
_SIDES = ("7771000", "24028007", "51440002")  # SNOMED CT: left, right, both (CID 244)
_DEVICE_UID = "2.25.183541792161110967350594689099254632727"  # of this program, drawn once
_SAME_SPACING = 1e-4  # relative; one slice missing of thousands makes more


def check_dicom_report(volume: Volume) -> None:
    """Raise OutputError if a report on ``volume`` could not be written later.

    That is also where slices are missing or unevenly spaced: what is between them has a volume
    that nobody knows, and a report outlives the warning that says so. It is the same with one slice
    that does not tell its place and thickness.
    """
    first = check_dicom_source(volume)[0]
    if "ImagePositionPatient" not in first.dataset:
        raise OutputError(
            f"The image {volume.name} does not say where in the patient it lies, and how large its "
            "pixels are there, so that no volumes in mL can be reported.",
            "Leave out the report.",
        )
    _check_spacing(volume, first.dataset.get("SpacingBetweenSlices"))
    _check_thickness(volume, first)


def write_volume_report(
    path: Path,
    segmentation: Path,
    structures: Sequence[StructureRow],
    volume: Volume,
    card: ModelCard,
) -> None:
    """Write the millilitres of ``structures``, one per label of ``card``, as a DICOM report.

    ``segmentation`` is the DICOM segmentation of ``volume`` that they were measured in: the report
    is of its patient and study and refers to its segments. The file appears whole or not at all and
    replaces another. Raises OutputError if it cannot be written.
    """
    highdicom_module()
    import pydicom

    with quiet():
        try:
            dataset = pydicom.dcmread(segmentation, stop_before_pixels=True)
            measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            _check_spacing(volume, measures.get("SpacingBetweenSlices"))
            report = _report(dataset, structures, card)
        except GDLAError:
            raise
        except Exception as error:  # pydicom and highdicom report trouble by many exception types
            raise OutputError(
                f"The DICOM segmentation {segmentation.name} is not what a report can refer to "
                f"({type(error).__name__}).",
                "Leave out the report.",
            ) from error
        with replacing(path) as part:
            report.save_as(part)


def _check_spacing(volume: Volume, step: float | None) -> None:
    """Check that ``step``, of the grid that the images lie on, is from each slice to the next."""
    spacing = volume.spacing[2]
    even = step is not None and abs(float(step) - spacing) < _SAME_SPACING * spacing
    if volume.shape[0] > 1 and not even:
        raise OutputError(
            f"Slices of {volume.name} are missing or unevenly spaced, so that volumes in mL are "
            "not exact enough to report.",
            "Leave out the report, or complete the series.",
        )


def _check_thickness(volume: Volume, only: SourceFrame) -> None:
    """Check that one slice counts as being as thick as it says: there is no next one."""
    spacing, told = volume.spacing[2], only.thickness
    if volume.shape[0] == 1 and (told is None or abs(told - spacing) > _SAME_SPACING * spacing):
        raise OutputError(
            f"{volume.name} is one slice that does not say how thick it is, so that no volumes in "
            "mL can be reported.",
            "Leave out the report.",
        )


def _report(
    segmentation: Dataset, structures: Sequence[StructureRow], card: ModelCard
) -> ComprehensiveSR:
    from highdicom.sr import ComprehensiveSR
    from pydicom.uid import generate_uid

    aside = set_aside(segmentation)
    report = ComprehensiveSR(
        evidence=[segmentation, *_images(segmentation)],
        content=_content(segmentation, structures, card)[0],
        series_instance_uid=generate_uid(prefix=None),
        series_number=next_series_number(int(segmentation.SeriesNumber)),
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=SOFTWARE,
        manufacturer_model_name=SOFTWARE,
        software_versions=__version__,
        device_serial_number=SERIAL_NUMBER,
        is_complete=True,
        series_description=long_string(f"Volumes. {CAUTION} {card.title}"),
        specific_character_set=UTF_8,
    )
    put_back(report, aside)
    return report


def _images(segmentation: Dataset) -> list[Dataset]:
    """Return the images that ``segmentation`` was made from, as far as a reference needs them."""
    from pydicom.dataset import Dataset

    images = []
    for series in segmentation.ReferencedSeriesSequence:
        for reference in series.ReferencedInstanceSequence:
            image = Dataset()
            image.StudyInstanceUID = segmentation.StudyInstanceUID
            image.SeriesInstanceUID = series.SeriesInstanceUID
            image.SOPClassUID = reference.ReferencedSOPClassUID
            image.SOPInstanceUID = reference.ReferencedSOPInstanceUID
            images.append(image)
    return images


def _content(
    segmentation: Dataset, structures: Sequence[StructureRow], card: ModelCard
) -> MeasurementReport:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=_DEVICE_UID,
        name=SOFTWARE,
        manufacturer_name=SOFTWARE,
        model_name=f"{SOFTWARE} {__version__}",
        serial_number=SERIAL_NUMBER,
    )
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=[
            _group(segmentation, label, row, card)
            for label, row in zip(card.labels, structures, strict=True)
        ],
    )


def _group(
    segmentation: Dataset, label: Label, row: StructureRow, card: ModelCard
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        Measurement,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    value, meaning = _MILLILITRE
    volume = Measurement(
        name=codes.SCT.Volume,
        value=float(f"{row.millilitres:.8g}"),
        unit=CodedConcept(value, "UCUM", meaning),
        method=codes.DCM.SumOfSegmentedVoxelMethodForVolume,
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=generate_uid(prefix=None), identifier=long_string(label.name)
        ),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=label.value,
            source_series=SourceSeriesForSegmentation(
                segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
            ),
        ),
        finding_type=concept(label.terminology.type),
        finding_sites=[_site(label)],
        algorithm_id=AlgorithmIdentification(
            name=long_string(card.name),
            version=long_string(card.version),
            parameters=[f"{name}: {text}" for name, text in algorithm_parameters(card).items()],
        ),
        measurements=[volume],
    )


def _site(label: Label) -> FindingSite:
    """Return where ``label`` is: its region, or for organs, which have none, the organ."""
    from highdicom.sr import FindingSite

    terms = label.terminology
    place, modifier = (
        (terms.type, terms.type_modifier)
        if terms.region is None
        else (terms.region, terms.region_modifier)
    )
    side = _is_side(modifier)
    coded = None if modifier is None else concept(modifier)
    return FindingSite(
        anatomic_location=concept(place),
        laterality=coded if side else None,
        topographical_modifier=None if side else coded,
    )


def _is_side(modifier: Code | None) -> bool:
    return modifier is not None and modifier.scheme == "SCT" and modifier.value in _SIDES
