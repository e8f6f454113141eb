from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from layout_files import (
    SIDE,
    arrays,
    card_of,
    change,
    mask,
    picture,
    write_layout,
    write_picture,
    write_segmentation,
    yaml,
)

from GDLACore.imaging.view import slice_view
from GDLACore.training import layouts
from GDLACore.training.cases import IGNORED
from GDLACore.training.dataset import Dataset, read_dataset

LAYOUTS = ("synapse", "acdc", "busi", "ham10000", "ph2", "kvasir", "pairs")


def _ids(dataset: Dataset) -> list[list[str]]:
    return [[case.id for case in cases] for cases in dataset.splits.values()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_data_set_in_each_layout_suits_the_card_of_its_model(tmp_path: Path, layout: str) -> None:
    dataset = read_dataset(write_layout(tmp_path, layout))
    card = card_of(layout)
    dataset.check(card)
    assert dataset.names == tuple(label.name for label in card.labels)
    for case in (*dataset.training, *dataset.validation, *dataset.test):
        volume, classes = dataset.read(case)
        assert volume.shape == classes.shape and classes.dtype == np.uint8
        assert volume.channels == (3 if card.in_channels == 3 else 1)


def test_an_epoch_of_synapse_is_its_slices_and_the_test_volumes_validate_as_published(
    tmp_path: Path,
) -> None:
    dataset = read_dataset(write_layout(tmp_path, "synapse"))
    training, validation, test = _ids(dataset)
    assert training == [f"case0005_slice00{k}" for k in range(3)] + [
        f"case0006_slice00{k}" for k in range(2)
    ]
    assert validation == test == ["case0001"]
    assert dataset.read(dataset.test[0])[0].shape == (4, SIDE, SIDE - 4)
    assert [case.slices for case in dataset.training[:3]] == [(0, 1), (1, 2), (2, 3)]


def test_synapse_slices_come_back_as_hounsfield_units_in_the_view_they_are_stored_in(
    tmp_path: Path,
) -> None:
    dataset = read_dataset(write_layout(tmp_path, "synapse"))
    case = dataset.training[4]
    volume, classes = dataset.read(case)
    card = card_of("synapse")
    view = slice_view(volume, card.slice_axis, card.view)
    image, label = arrays(61, None, 8)
    np.testing.assert_allclose(view.take(volume.array, [1])[0], image * 400 - 125, rtol=1e-5)
    np.testing.assert_array_equal(view.take(classes, [1])[0], label)


def test_acdc_volumes_are_put_together_by_patient_and_phase(tmp_path: Path) -> None:
    training, validation, test = _ids(read_dataset(write_layout(tmp_path, "acdc")))
    assert training[:4] == [f"case_001_{p}_slice00{k}" for p in ("ED", "ES") for k in range(2)]
    assert validation == ["case_019_ED", "case_019_ES"]
    assert test == ["case_003_ED"]


def test_acdc_may_be_named_by_patient_and_frame_and_lie_in_h5(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "acdc")
    file = tmp_path / "data" / "test" / "case_003_volume_ED.npz"
    file.rename(file.with_name("PATIENT101_frame01.NPZ"))
    dataset = read_dataset(path)
    assert (dataset.test[0].id, dataset.test[0].patient) == ("patient101_FRAME01", "patient101")
    dataset.check(card_of("acdc"))


def test_all_masks_of_an_ultrasound_picture_count_and_none_is_no_lesion(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "busi", split=None))
    change(tmp_path / "dataset.yaml", split=None)
    dataset = read_dataset(tmp_path / "dataset.yaml")
    cases = {case.id: case for case in dataset.training}
    two = dataset.read(cases["benign (1)"])[1][0]
    np.testing.assert_array_equal(two, (mask() > 0) | (mask(20) > 0))
    assert not dataset.read(cases["normal (1)"])[1].any()


def test_pictures_of_a_lesion_stay_together(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "ham10000")
    assert _ids(read_dataset(path))[2] == ["ISIC_0000002", "ISIC_0000003"]
    change(path, test_patients=None, split={"test": 0.5, "seed": 3})
    dataset = read_dataset(path)
    assert {case.patient for case in dataset.training} == {"HAM_0000001"} or {
        case.patient for case in dataset.test
    } == {"HAM_0000001"}
    (tmp_path / "data" / "HAM10000_metadata.csv").unlink()
    change(path, split=None, test_patients="test.txt")
    (tmp_path / "test.txt").write_text("ISIC_0000003\n\n", encoding="utf-8")
    assert _ids(read_dataset(path))[2] == ["ISIC_0000003"]


MASKS = {
    "grey edges": (np.array([[0, 100, 200, 255]], np.uint8), [0, 0, 0, 1], [0, 0, 1, 1]),
    "0 and 1": (np.array([[0, 0, 1, 1]], np.uint8), [0, 0, 1, 1], [0, 0, 1, 1]),
    "16 bits": (np.array([[0, 9, 60000, 65535]], np.uint16), [0, 0, 0, 1], [0, 0, 1, 1]),
    "white all over": (np.full((1, 4), 255, np.uint8), [0, 0, 0, 0], [1, 1, 1, 1]),
    "two colours": (
        np.array([[[0, 0, 0], [0, 0, 0], [128, 0, 0], [128, 0, 0]]], np.uint8),
        [0, 0, 1, 1],
        [0, 0, 1, 1],
    ),
    "exactly half": (np.array([[0, 100, 101, 200]], np.uint8), [0, 0, 0, 1], [0, 0, 1, 1]),
    "transparency": (
        np.array([[[0, 0, 0, 255], [0, 0, 0, 255], [9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8),
        [0, 0, 1, 1],
        [0, 0, 1, 1],
    ),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_is_what_the_rule_says(tmp_path: Path, kind: str) -> None:
    stored, published, half = MASKS[kind]
    write_picture(tmp_path / "data" / "a.png", np.zeros((1, 4, 3), np.uint8))
    write_picture(tmp_path / "data" / "a_mask.png", stored)
    path = tmp_path / "dataset.yaml"
    path.write_text("{layout: busi, folder: data}", encoding="utf-8")
    for rule, expected in ((None, published), ("published", published), ("half", half)):
        change(path, masks=rule)
        dataset = read_dataset(path)
        assert dataset.read(dataset.training[0])[1].ravel().tolist() == expected


def test_pictures_may_have_16_bits_or_endings_in_capitals_and_systems_leave_files(
    tmp_path: Path,
) -> None:
    path = write_layout(tmp_path, "busi")
    change(path, split=None)
    folder = tmp_path / "data" / "benign"
    deep = picture(1).astype(np.uint16) * 257
    write_picture(folder / "benign (2).png", deep)
    (folder / "benign (3).png").rename(folder / "benign (3).PNG")
    for name in ("._benign (3).png", "Thumbs.db", "readme.txt"):
        (folder / name).write_bytes(b"nothing")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "benign (9).png").write_bytes(b"nothing")
    dataset = read_dataset(path)
    dataset.check(card_of("busi"))
    assert len(dataset.training) == 4
    case = next(case for case in dataset.training if case.id == "benign (2)")
    np.testing.assert_array_equal(dataset.read(case)[0].array[0], deep)


def test_linked_folders_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "ph2")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "data" / "IMD002").rename(elsewhere)
    (tmp_path / "data" / "IMD002").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "up").symlink_to(tmp_path / "data", target_is_directory=True)
    assert len(read_dataset(path).training) == 1


def test_labels_on_a_grid_that_runs_the_other_way_are_turned(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "pairs"))
    assert _ids(dataset)[:2] == [["P1_a", "P1_b"], ["P2_a"]]
    label = arrays(4, 4, 2)[1]
    np.testing.assert_array_equal(dataset.read(dataset.training[0])[1], label)


def _segmentation(tmp_path: Path, values: dict[str, object]) -> Dataset:
    path = write_layout(tmp_path, "pairs")
    layers = np.zeros((4, SIDE, SIDE - 4, 2), np.uint8)
    layers[:, 4:10, :, 0] = 1  # spleen
    layers[:, 8:14, :, 1] = 1  # liver
    for name in ("P1_a", "P1_b", "P2_a"):
        write_segmentation(tmp_path / "data" / "labels" / f"{name}.seg.nrrd", layers)
    change(path, labels="labels/{id}.seg.nrrd", values=values)
    return read_dataset(path)


@pytest.mark.parametrize(
    ("liver", "spleen"), [("My Liver", ["Spleen"]), ("10200004", "78961009/7771000")]
)
def test_segments_are_found_by_name_or_terminology_and_overlaps_teach_nothing(
    tmp_path: Path, liver: str, spleen: object
) -> None:
    dataset = _segmentation(tmp_path, {"Liver": liver, "Spleen": spleen})
    classes = dataset.read(dataset.training[0])[1]
    assert [int(classes[0, row, 0]) for row in (4, 8, 12, 20)] == [2, IGNORED, 1, 0]


def test_masks_of_pairs_are_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_picture(tmp_path / "data" / f"{name}.bmp", picture(1))
        write_picture(tmp_path / "data" / f"{name}.seg.jpg", mask())
    path = tmp_path / "dataset.yaml"
    path.write_text(
        "{layout: pairs, folder: data, structures: [Polyp], masks: half, images: '{id}.bmp',"
        " labels: '{id}.seg.jpg'}",
        encoding="utf-8",
    )
    dataset = read_dataset(path)
    dataset.check(card_of("kvasir"))
    np.testing.assert_array_equal(dataset.read(dataset.training[0])[1][0], mask() > 0)


def _with_density(path: Path, array: np.ndarray, spacing: float) -> None:
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 3)
    image.SetSpacing((spacing, spacing))
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("means", ["masks: half", "values: {Polyp: 255}"])
def test_a_pictures_size_on_paper_is_no_spacing(tmp_path: Path, means: str) -> None:
    (tmp_path / "data").mkdir()
    _with_density(tmp_path / "data" / "a.png", picture(1), 0.2)
    _with_density(tmp_path / "data" / "a-mask.png", mask(), 0.3)
    path = tmp_path / "dataset.yaml"
    path.write_text(
        f"{{layout: pairs, folder: data, structures: [Polyp], {means}, images: '{{id}}.png',"
        " labels: '{id}-mask.png'}",
        encoding="utf-8",
    )
    dataset = read_dataset(path)
    volume, classes = dataset.read(dataset.training[0])
    assert volume.spacing == (1.0, 1.0, 1.0) and not dataset.training[0].spacing_known
    np.testing.assert_array_equal(classes[0], mask() > 0)


@pytest.mark.parametrize(("layout", "known"), [("pairs", True), ("acdc", False), ("busi", False)])
def test_only_volumes_of_medical_formats_are_measured_in_mm(
    tmp_path: Path, layout: str, known: bool
) -> None:
    dataset = read_dataset(write_layout(tmp_path, layout))
    assert {case.spacing_known for case in (*dataset.training, *dataset.validation)} == {known}


def test_of_folders_in_one_another_the_outer_one_tells_the_split(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "acdc")
    (tmp_path / "data" / "test" / "train").mkdir()
    file = "case_003_volume_ED.npz"
    (tmp_path / "data" / "test" / file).rename(tmp_path / "data" / "test" / "train" / file)
    assert [case.id for case in read_dataset(path).test] == ["case_003_ED"]


def test_who_is_drawn_depends_on_the_seed_and_the_names_alone(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "busi")
    first = _ids(read_dataset(path))
    assert [len(ids) for ids in first] == [2, 1, 1]
    assert _ids(read_dataset(path)) == first
    drawn = set()
    for seed in range(8):
        change(path, split={"validation": 0.25, "test": 0.25, "seed": seed})
        drawn.add(str(_ids(read_dataset(path))))
    assert len(drawn) > 3


def _examples() -> list[dict[str, Any]]:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("example", _examples(), ids=lambda e: e.get("layout", "cases"))
def test_the_examples_of_the_documents_work(tmp_path: Path, example: dict[str, Any]) -> None:
    path = write_layout(tmp_path, example.get("layout", "pairs"))
    if "cases" in example:
        for case in example["cases"]:
            for field in ("image", "labels"):
                (tmp_path / case[field]).write_bytes(b"")
        example["cases"].append({**example["cases"][0], "id": "p3-ct", "patient": "p3"})
    path.write_text(yaml.safe_dump(example), encoding="utf-8")
    dataset = read_dataset(path)
    if "layout" in example:
        dataset.check(card_of(example["layout"]))
    assert dataset.training and (dataset.validation or dataset.test)


def test_every_layout_is_documented_by_an_example() -> None:
    assert {example.get("layout") for example in _examples()} == {None, *LAYOUTS}
    assert set(layouts.LAYOUTS) == set(LAYOUTS)
