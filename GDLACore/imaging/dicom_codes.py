"""A card's structures in DICOM's terms: codes, texts within their bounds, and who found them.

highdicom is imported only here and in what writes objects, when one is written.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from GDLACore import __version__
from GDLACore.errors import OutputError
from GDLACore.model.card import Code, Label, ModelCard

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept

SOFTWARE = "GDLASegmenter"
SERIAL_NUMBER = "0"  # DICOM wants one, software has none
CAUTION = "Not for clinical use."
UTF_8 = "ISO_IR 192"

_SERIES_OFFSET = 1000
_SERIES_NUMBERS = 2**31  # of an IS value (PS3.5, 6.2)
_OLDEST = (0, 28)  # of highdicom, that can be told the character set
_LONG_STRING = 64  # of an LO value (PS3.5, 6.2)
_SHORT_STRING = 16  # of an SH value


def highdicom_module() -> ModuleType:
    """Return highdicom. Raises OutputError if it is not installed, or too old."""
    try:
        import highdicom  # which takes its time, and other formats do without
        import highdicom.seg
        import highdicom.sr
    except ImportError as error:
        raise OutputError(
            "highdicom, which writes DICOM segmentations and reports, is not installed.",
            "Install it with: pip install highdicom.",
        ) from error
    if tuple(int(part) for part in highdicom.__version__.split(".")[:2]) < _OLDEST:
        raise OutputError(
            f"highdicom {highdicom.__version__} is too old to write DICOM segmentations and "
            "reports.",
            'Install a newer one with: pip install --upgrade "highdicom>=0.28".',
        )
    return highdicom


def next_series_number(number: int) -> int:
    """Return the number of a series of ours that is about the series ``number``."""
    return (max(number, 0) + _SERIES_OFFSET) % _SERIES_NUMBERS


def long_string(text: str) -> str:
    """Return ``text`` as one value of a long string: a line of 64 bytes at most.

    The limit is one of characters, but there are receivers that count bytes. A backslash would
    separate two values.
    """
    line = " ".join(text.replace("\\", "/").split())
    return line.encode("utf-8")[:_LONG_STRING].decode("utf-8", "ignore").rstrip()


def concept(code: Code) -> CodedConcept:
    """Return ``code`` as DICOM keeps codes. Raises OutputError if its scheme has too long a name.

    Code values of more than 16 characters are long or URN code values (PS3.3, 8.1).
    """
    from highdicom.sr import CodedConcept

    if len(code.scheme) > _SHORT_STRING:
        raise OutputError(
            f"The coding scheme {code.scheme} of the model's card has a longer name than the "
            f"{_SHORT_STRING} characters that DICOM allows.",
            "Shorten it in the card, or write another format, such as .seg.nrrd.",
        )
    return CodedConcept(code.value, long_string(code.scheme), long_string(code.meaning))


def algorithm(card: ModelCard) -> AlgorithmIdentificationSequence:
    """Return the identification of ``card``'s model as what drew the segments."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return AlgorithmIdentificationSequence(
        name=long_string(card.name),
        family=codes.cid7162.ArtificialIntelligence,
        version=long_string(card.version),
        source=SOFTWARE,
        parameters=algorithm_parameters(card),
    )


def algorithm_parameters(card: ModelCard) -> dict[str, str]:
    """Return what identifies ``card``'s model beside its name and version."""
    parameters = {"network": str(card.architecture), "software": f"{SOFTWARE} {__version__}"}
    return parameters if card.sha256 is None else {**parameters, "weights SHA-256": card.sha256}


def segment_description(label: Label, card: ModelCard) -> SegmentDescription:
    """Return the description of the segment of ``label``, numbered as the label's value."""
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    terms = label.terminology
    description = SegmentDescription(
        segment_number=label.value,
        segment_label=long_string(label.name),
        segmented_property_category=concept(terms.category),
        segmented_property_type=concept(terms.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm(card),
        anatomic_regions=None if terms.region is None else [concept(terms.region)],
        display_color=CIELabColor.from_rgb(*label.color),
    )
    if terms.type_modifier is not None:
        description.SegmentedPropertyTypeCodeSequence[
            0
        ].SegmentedPropertyTypeModifierCodeSequence = [concept(terms.type_modifier)]
    if terms.region is not None and terms.region_modifier is not None:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [
            concept(terms.region_modifier)
        ]
    if label.note:
        description.SegmentDescription = label.note
    return description
