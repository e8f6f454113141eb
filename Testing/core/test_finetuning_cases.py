"""What of a corrected case teaches: segments by their codes, reviewed slices, no disputes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corrected_cases import CARD, add_ball_case, ball_case, patient

pytest.importorskip("torch")  # a case is a case of a training

import SimpleITK as sitk

from GDLACore.errors import TrainingError, VolumeError
from GDLACore.finetuning.cases import examine, ranges_of
from GDLACore.imaging.segments import Segment, segments_of
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.model.card import Label
from GDLACore.model.catalogue import find
from GDLACore.training.cases import IGNORED
from GDLACore.training.segment_matching import match_segments
from GDLACore.training_set import CorrectedCase, add_case, read_training_set

DEMO = find("demo-ct").card
LIVER, SPLEEN, KIDNEY, LUNG = "10200004", "78961009", "64033007", "39607008"
LEFT, RIGHT = "7771000", "24028007"


def segment(name: str, code: str = "", modifier: str = "") -> Segment:
    return Segment(name, code, modifier, 0, 1)


def named(name: str) -> Label:
    return next(label for label in DEMO.labels if label.name == name)


def tagged(code: str) -> str:
    return f"TerminologyEntry:list~SCT^1^Anatomy~SCT^{code}^x~^^~list~^^~^^|"


def write_layers(
    folder: Path, name: str, layers: list[np.ndarray], segments: list[dict[str, str]]
) -> CorrectedCase:
    """Write a case of the balls whose segments are in several layers, as Slicer stores overlaps."""
    volume, _ = ball_case(1)
    origin, spacing, direction = sitk_geometry(volume.ijk_to_ras)
    stacked = np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]
    segmentation = sitk.GetImageFromArray(stacked, isVector=len(layers) > 1)
    for image, path in (
        (sitk.GetImageFromArray(volume.array), folder / f"{name}.nrrd"),
        (segmentation, folder / f"{name}.seg.nrrd"),
    ):
        image.SetOrigin(origin)
        image.SetSpacing(spacing)
        image.SetDirection(direction)
        if image is segmentation:
            for number, fields in enumerate(segments):
                for key, value in fields.items():
                    image.SetMetaData(f"Segment{number}_{key}", value)
        sitk.WriteImage(image, str(path))
    return read_training_set(folder)[0]


def case(folder: Path, number: int = 1, **changes: object) -> tuple[CorrectedCase, np.ndarray]:
    """Return a case of the balls and the truth of it, in the order in which it is stored."""
    stored = str(changes.get("stored", "axial"))
    return add_ball_case(folder, number, **changes), ball_case(number, stored)[1]


def test_segments_are_matched_by_their_codes_whatever_they_are_called() -> None:
    found = match_segments(
        [
            segment("Leber", LIVER),
            segment("rein gauche", KIDNEY, LEFT),
            segment("Left kidney", KIDNEY, RIGHT),
        ],
        DEMO,
    )
    names = {label: [s.name for s in segments] for label, segments in found.segments.items()}
    assert names == {
        "Liver": ["Leber"],
        "Left kidney": ["rein gauche"],
        "Right kidney": ["Left kidney"],
    }
    assert (found.by_name, found.ignored) == ((), ())


def test_both_lungs_are_lungs_and_a_kidney_without_a_side_is_none() -> None:
    found = match_segments(
        [segment("l", LUNG, LEFT), segment("r", LUNG, RIGHT), segment("kidney", KIDNEY)], DEMO
    )
    assert [s.name for s in found.segments["Lungs"]] == ["l", "r"]
    assert found.ignored == ("kidney",)


def test_a_segment_of_one_side_is_not_the_other_and_one_without_a_side_neither() -> None:
    left = replace(DEMO, labels=(replace(named("Left kidney"), value=1),))
    found = match_segments([segment("r", KIDNEY, RIGHT), segment("kidney", KIDNEY)], left)
    assert (found.segments, found.ignored) == ({}, ("r", "kidney"))
    first = replace(
        DEMO,
        labels=(replace(named("Lungs"), value=1), replace(named("Lungs"), value=2, name="more")),
    )
    assert match_segments([segment("lung", LUNG)], first).ignored == ("lung",)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_one_side_of_a_structure_without_sides_is_not_the_whole(side: str) -> None:
    found = match_segments([segment("lung", LUNG, side), segment("liver", LIVER)], DEMO)
    assert list(found.whole) == ["Liver"]
    assert (found.one_sided, found.ignored) == (("Lungs",), ())
    both = match_segments([segment("lung", LUNG, side), segment("lungs", LUNG)], DEMO)
    assert list(both.whole) == ["Lungs"]


def test_only_a_segment_without_codes_is_matched_by_its_name_and_that_is_told() -> None:
    found = match_segments([segment(" liver "), segment("Spleen", "1"), segment("tumour")], DEMO)
    assert list(found.segments) == ["Liver"]
    assert found.by_name == (" liver ",)
    assert found.ignored == ("Spleen", "tumour")


def test_the_terminology_that_slicer_gives_before_its_user_chooses_says_nothing() -> None:
    header = {"Segment0_ID": "a", "Segment0_Name": "Liver", "Segment0_Tags": tagged("85756007")}
    assert segments_of(header) == (Segment("Liver", "", "", 0, 1),)


@pytest.mark.parametrize("stored", ["axial", "coronal"])
def test_slices_that_nobody_reviewed_are_ignored_however_they_are_stored(
    tmp_path: Path, stored: str
) -> None:
    corrected, truth = case(tmp_path, stored=stored, reviewed=((1, 3), (5, 6)))
    examined = examine(corrected, CARD)
    _, classes = examined.case.read(("liver", "spleen"))
    axis = 0 if stored == "axial" else 1
    taught = [n for n in range(8) if (classes.take(n, axis) != IGNORED).any()]
    assert taught == examined.slices == [1, 2, 5]
    assert np.array_equal(classes.take(taught, axis), truth.take(taught, axis))
    assert examined.as_segmented


def test_slices_are_measured_along_the_axis_that_they_were_reviewed_along(tmp_path: Path) -> None:
    volume, labels = ball_case(1)
    volume = replace(volume, ijk_to_ras=np.diag([-3.0, -5.0, 8.0, 1.0]))
    added = add_case(
        tmp_path, volume, labels, CARD.labels, CARD, patient=patient(1), axis=0, reviewed=None
    )
    found = examine(added, CARD)
    assert (found.spacing, found.extent) == (8.0, 40 * 3.0)
    assert found.held_out(((2, 4),)).validation_slices == (2, 4)
    sagittal = examine(replace(added, axis=2), CARD)
    assert (sagittal.spacing, sagittal.as_segmented) == (3.0, False)
    # Numbers of sagittal slices say nothing of the axial ones that the model cuts.
    assert sagittal.held_out(((2, 4),)).validation_slices is None


def test_a_structure_without_a_segment_is_unknown_and_an_empty_one_absent(tmp_path: Path) -> None:
    corrected, truth = case(tmp_path, structures=("liver",))
    examined = examine(corrected, CARD)
    assert examined.case.unknown == {"spleen"}
    _, classes = examined.case.read(("liver", "spleen"))
    assert np.array_equal(classes, np.where(truth == 1, 1, 0))
    empty = np.zeros(truth.shape, np.uint8)
    fields = [{"ID": "a", "LabelValue": "7", "Layer": "0", "Tags": tagged(SPLEEN)}]
    (tmp_path / "other").mkdir()
    known = examine(write_layers(tmp_path / "other", "p", [empty], fields), CARD)
    assert known.case.unknown == {"liver"}
    assert not known.case.read(("liver", "spleen"))[1].any()


def test_voxels_that_two_structures_claim_teach_neither_and_are_counted(tmp_path: Path) -> None:
    liver, spleen, more = (np.zeros((8, 40, 40), np.uint8) for _ in range(3))
    liver[2:5, 5:15, 5:15] = 3
    spleen[2:5, 10:20, 5:15] = 1
    more[6:8, 5:15, 5:15] = 1  # of the liver again: the two are united
    case = write_layers(
        tmp_path,
        "p",
        [liver, spleen, more],
        [
            {"ID": "a", "LabelValue": "3", "Layer": "0", "Tags": tagged(LIVER)},
            {"ID": "b", "LabelValue": "1", "Layer": "1", "Tags": tagged(SPLEEN)},
            {"ID": "c", "LabelValue": "1", "Layer": "2", "Tags": tagged(LIVER)},
        ],
    )
    examined = examine(case, CARD)
    _, classes = examined.case.read(("liver", "spleen"))
    assert examined.disputed == 3 * 5 * 10 == (classes == IGNORED).sum()
    assert (classes == 1).sum() == (3 * 5 + 2 * 10) * 10
    assert (classes == 2).sum() == 3 * 5 * 10


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_a_segment_of_the_background_is_refused(tmp_path: Path, value: str) -> None:
    fields = [{"ID": "a", "LabelValue": value, "Layer": "0", "Tags": tagged(LIVER)}]
    corrected = write_layers(tmp_path, "p", [np.ones((8, 40, 40), np.uint8)], fields)
    with pytest.raises(VolumeError, match="the label values, that its segments name"):
        examine(corrected, CARD)


def test_hidden_files_are_no_cases(tmp_path: Path) -> None:
    fields = [{"ID": "a", "LabelValue": "1", "Layer": "0", "Tags": tagged(LIVER)}]
    write_layers(tmp_path, "p", [np.ones((8, 40, 40), np.uint8)], fields)
    (tmp_path / "._p.seg.nrrd").write_bytes(b"Mac OS X")
    assert [found.id for found in read_training_set(tmp_path)] == ["p"]


def test_a_case_without_a_structure_of_the_model_is_named(tmp_path: Path) -> None:
    corrected, _ = case(tmp_path)
    card = replace(CARD, labels=tuple(replace(label, value=1) for label in DEMO.labels[6:7]))
    with pytest.raises(TrainingError, match=rf"{corrected.id} \(liver, spleen\).*abdomen"):
        examine(corrected, card)


@pytest.mark.parametrize(
    ("reviewed", "message"), [((), "No slice of case"), (((2, 9),), "8 slices.*2:9")]
)
def test_a_case_of_which_nothing_was_reviewed_is_named(
    tmp_path: Path, reviewed: tuple[tuple[int, int], ...], message: str
) -> None:
    corrected, _ = case(tmp_path)
    with pytest.raises(TrainingError, match=message):
        examine(replace(corrected, reviewed=reviewed), CARD)


def test_images_of_another_kind_than_the_models_are_refused(tmp_path: Path) -> None:
    corrected, _ = case(tmp_path)
    magnetic = replace(CARD, modality="MR")
    with pytest.raises(TrainingError, match=rf"{corrected.id} is no MR image.*-1000"):
        examine(corrected, magnetic)
    image = sitk.ReadImage(str(corrected.image))
    sitk.WriteImage(sitk.Abs(image), str(corrected.image))
    with pytest.raises(TrainingError, match=f"{corrected.id} is no CT image"):
        examine(corrected, CARD)
    sitk.WriteImage(sitk.Compose(image, image, image), str(corrected.image))
    with pytest.raises(VolumeError, match=f"Case {corrected.id}: image is a colour image"):
        examine(corrected, CARD)


@pytest.mark.parametrize("part", ["image", "segmentation"])
@pytest.mark.parametrize("fault", ["cut off", "no image at all"])
def test_a_damaged_file_is_named_with_its_case(tmp_path: Path, part: str, fault: str) -> None:
    corrected, _ = case(tmp_path)
    path = getattr(corrected, part)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 900] if fault == "cut off" else b"PK\x03\x04" * 99)
    with pytest.raises(VolumeError, match=rf"Case {corrected.id}: {path.name}"):
        examine(corrected, CARD)


def test_a_segmentation_on_another_grid_is_named_with_its_case(tmp_path: Path) -> None:
    corrected, _ = case(tmp_path)
    image = sitk.ReadImage(str(corrected.image))
    image.SetSpacing((7.0, 8.0, 8.0))
    sitk.WriteImage(image, str(corrected.image))
    with pytest.raises(VolumeError, match=rf"Case {corrected.id}: .*not on the grid"):
        examine(corrected, CARD)


def test_a_label_map_without_segments_is_no_segmentation(tmp_path: Path) -> None:
    corrected = write_layers(tmp_path, "p", [np.ones((8, 40, 40), np.uint8)], [])
    with pytest.raises(VolumeError, match="lists no segments"):
        examine(corrected, CARD)


def test_numbers_become_the_fewest_ranges() -> None:
    assert ranges_of([5, 1, 2, 3, 2]) == ((1, 4), (5, 6))
