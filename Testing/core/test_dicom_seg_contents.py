"""What DICOM segmentations say of their segments, and which frames they have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

highdicom = pytest.importorskip("highdicom")

import pydicom  # noqa: E402
from dicom_files import save, values  # noqa: E402
from dicom_objects import (  # noqa: E402
    complaints,
    labels_of,
    needs_program,
    segment_frames,
    write_enhanced,
    write_images,
    written,
)
from phantom import make_card  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402

from GDLACore.errors import OutputError  # noqa: E402
from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.imaging.writing import write_segmentation  # noqa: E402
from GDLACore.model.card import Code, ModelCard, Terminology  # noqa: E402
from GDLACore.model.catalogue import catalogue  # noqa: E402

_LEFT = Code("SCT", "7771000", "Left")
_KIDNEY = Terminology(
    Code("SCT", "123037004", "Anatomical Structure"),
    Code("SCT", "64033007", "Kidney"),
    type_modifier=_LEFT,
)
_TUMOUR = Terminology(
    Code("SCT", "49755003", "Morphologically Abnormal Structure"),
    Code("SCT", "108369006", "Neoplasm"),
    region=Code("SCT", "39607008", "Lung"),
    region_modifier=_LEFT,
)


def with_first_label(card: ModelCard, **changes: object) -> ModelCard:
    first, *others = card.labels
    return dataclasses.replace(card, labels=(dataclasses.replace(first, **changes), *others))


def code(item: Dataset) -> tuple[str, str, str]:
    return item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning


def test_segments_are_coded_as_the_card_says(tmp_path):
    write_images(tmp_path / "ct")
    card = make_card()
    kidney, tumour = (
        dataclasses.replace(label, terminology=terms)
        for label, terms in zip(card.labels, (_KIDNEY, _TUMOUR), strict=False)
    )
    card = dataclasses.replace(card, labels=(kidney, tumour, card.labels[2]))
    first, second, _ = written(tmp_path, card).SegmentSequence
    kind = first.SegmentedPropertyTypeCodeSequence[0]
    assert code(first.SegmentedPropertyCategoryCodeSequence[0])[1] == "123037004"
    assert code(kind) == ("SCT", "64033007", "Kidney")
    assert code(kind.SegmentedPropertyTypeModifierCodeSequence[0]) == ("SCT", "7771000", "Left")
    assert "AnatomicRegionSequence" not in first
    region = second.AnatomicRegionSequence[0]
    assert code(region) == ("SCT", "39607008", "Lung")
    assert code(region.AnatomicRegionModifierSequence[0]) == ("SCT", "7771000", "Left")


def test_segments_say_which_model_drew_them(tmp_path):
    write_images(tmp_path / "ct")
    card = dataclasses.replace(make_card(), sha256="ab" * 32)
    for segment in written(tmp_path, card).SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("abdomen", "1.2")
        assert code(algorithm.AlgorithmFamilyCodeSequence[0])[1] == "123110"
        assert "ab" * 32 in algorithm.AlgorithmParameters


def test_colors_come_back_as_the_card_has_them(tmp_path):
    write_images(tmp_path / "ct")
    card = make_card()
    for segment, label in zip(written(tmp_path, card).SegmentSequence, card.labels, strict=True):
        shown = _rgb(segment.RecommendedDisplayCIELabValue)
        np.testing.assert_allclose(shown, label.color, atol=1)


def _rgb(stored: list[int]) -> np.ndarray:
    """Return sRGB, 0 to 255, of CIELab as DICOM stores it (PS3.3, C.10.7.1.1; IEC 61966-2-1)."""
    lightness, a, b = np.array(stored) * (100, 255, 255) / 65535 - (0, 128, 128)
    f = (lightness + 16) / 116 + np.array([a / 500, 0, -b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.95047, 1, 1.08883)
    to_rgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.204, 1.057]]
    linear = np.clip(to_rgb @ xyz, 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def test_a_structure_that_was_not_found_is_listed_without_a_frame(tmp_path):
    write_images(tmp_path / "ct")
    labels = labels_of(read_volume(tmp_path / "ct"))
    labels[labels == 2] = 0
    made = written(tmp_path, make_card(), labels)
    assert [segment.SegmentNumber for segment in made.SegmentSequence] == [1, 2, 3]
    assert {frame.segment for frame in segment_frames(tmp_path / "seg.dcm")} == {1, 3}


@needs_program("dciodvfy")
def test_where_nothing_was_found_each_structure_has_one_empty_frame(tmp_path):
    write_images(tmp_path / "ct")
    made = written(tmp_path, make_card(), np.zeros((5, 6, 7), np.uint8))
    frames = segment_frames(tmp_path / "seg.dcm")
    assert [frame.segment for frame in frames] == [1, 2, 3]
    assert not any(frame.picture.pixels.any() for frame in frames)
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 5
    assert complaints(tmp_path / "seg.dcm") == []


@needs_program("dciodvfy")
def test_nothing_may_be_found_in_an_enhanced_file(tmp_path):
    source = write_enhanced(tmp_path / "mr.dcm", range(5))
    volume, path = read_volume(source), tmp_path / "seg.dcm"
    write_segmentation(path, np.zeros((5, 6, 7), np.uint8), volume, make_card())
    assert complaints(path) == []


@needs_program("dciodvfy")
def test_one_structure_is_enough(tmp_path):
    write_images(tmp_path / "ct")
    labels = np.minimum(labels_of(read_volume(tmp_path / "ct")), 1)
    written(tmp_path, make_card(("liver",)), labels)
    assert len(segment_frames(tmp_path / "seg.dcm")) == 5
    assert complaints(tmp_path / "seg.dcm") == []


def test_one_slice_is_enough(tmp_path):
    write_images(tmp_path / "ct", positions=np.zeros((1, 3)))
    written(tmp_path, make_card())
    assert len(segment_frames(tmp_path / "seg.dcm")) == 3


@needs_program("dciodvfy")
def test_a_single_picture_without_a_place_is_enough(tmp_path):
    write_images(tmp_path / "ct", positions=np.zeros((1, 3)))
    file = next((tmp_path / "ct").iterdir())
    image = pydicom.dcmread(file)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    image.Modality = "US"
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(image, keyword)
    save(image, file)
    made = written(tmp_path, make_card())
    pixels = made.pixel_array
    np.testing.assert_array_equal(pixels, [values()[0] % 4 == n for n in (1, 2, 3)])
    assert complaints(tmp_path / "seg.dcm") == []


def test_more_than_255_structures_fit(tmp_path):
    write_images(tmp_path / "ct")
    card = make_card(tuple(f"structure {n}" for n in range(300)))
    labels = (np.arange(5 * 6 * 7).reshape(5, 6, 7) + 91).astype(np.uint16)
    written(tmp_path, card, labels)
    assert {frame.segment for frame in segment_frames(tmp_path / "seg.dcm")} == set(range(91, 301))


def test_what_a_frame_says_of_itself_counts_more_than_what_all_share(tmp_path):
    image = pydicom.dcmread(write_enhanced(tmp_path / "mr.dcm", range(5)))
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.3, 0.4], 1
    for groups in image.PerFrameFunctionalGroupsSequence:
        groups.PixelMeasuresSequence = [measures]
    volume = read_volume(save(image, tmp_path / "ct" / "mr.dcm"))
    assert volume.spacing == pytest.approx((0.4, 0.3, 1))
    made = written(tmp_path, make_card()).SharedFunctionalGroupsSequence[0]
    assert made.PixelMeasuresSequence[0].PixelSpacing == [0.3, 0.4]
    assert made.PixelMeasuresSequence[0].SliceThickness == 1


@needs_program("dciodvfy")
def test_texts_of_the_card_cannot_break_the_object(tmp_path):
    write_images(tmp_path / "ct", SpecificCharacterSet="ISO_IR 100")
    wild = "Bauchspeicheldrüse \\ 膵臓\n" + "x" * 80
    card = with_first_label(
        dataclasses.replace(make_card(), title=wild, version=wild),
        name=wild,
        note=wild,
        terminology=Terminology(
            Code("SCT", "123037004", wild), Code("99LOCAL", "a-code-of-more-than-16", wild)
        ),
    )
    made = written(tmp_path, card)
    label = made.SegmentSequence[0].SegmentLabel
    assert label.startswith("Bauchspeicheldrüse / 膵臓 xx") and len(label.encode()) == 64
    kind = made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert kind.LongCodeValue == "a-code-of-more-than-16"
    # A checker cannot know a scheme of one's own.
    assert [c for c in complaints(tmp_path / "seg.dcm") if "99LOCAL" not in c] == []


def test_a_coding_scheme_that_does_not_fit_is_named(tmp_path):
    write_images(tmp_path / "ct")
    terms = Terminology(Code("SCT", "1", "x"), Code("99A-SCHEME-TOO-LONG", "1", "x"))
    with pytest.raises(OutputError, match="99A-SCHEME-TOO-LONG .* 16 characters") as caught:
        written(tmp_path, with_first_label(make_card(), terminology=terms))
    assert caught.value.hint
    assert not (tmp_path / "seg.dcm").exists()


@needs_program("dciodvfy")
@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.card.name)
def test_dicom3tools_has_nothing_against_the_terms_of_our_models(tmp_path, entry):
    volume = read_volume(write_images(tmp_path / "ct"))
    labels = (np.arange(5 * 6 * 7) % entry.card.classes).reshape(5, 6, 7)
    path = tmp_path / "seg.dcm"
    write_segmentation(path, labels.astype(np.uint8), volume, entry.card)
    assert complaints(path) == []
