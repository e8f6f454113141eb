"""Whose predictions are scored: a model's, or files that another program wrote."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import ThresholdEngine
from evaluation_phantoms import STRUCTURES, PhantomCase, PhantomDataset, boxes, case
from layout_files import write_segmentation as write_layers
from phantom import make_card

from GDLACore.errors import EvaluationError, VolumeError
from GDLACore.evaluation import predictions_in, predictions_of
from GDLACore.imaging.volume import Volume, sitk_geometry
from GDLACore.imaging.writing import write_segmentation
from GDLACore.options import SegmentOptions

ORDER = ("spleen", "aorta", "liver")  # a card's, not the dataset's


@pytest.fixture
def imaged() -> tuple[PhantomCase, Volume]:
    one = case("scan.1")
    return one, PhantomDataset().read(one)[0]


def read(folder: Path, imaged: tuple[PhantomCase, Volume], card=None) -> np.ndarray:
    return predictions_in(folder, STRUCTURES, card)(*imaged, SegmentOptions())


def in_order_of_card(classes: np.ndarray) -> np.ndarray:
    return np.array([0, 3, 1], np.uint8)[classes]


def test_a_models_labels_are_the_datasets_structures_by_name(imaged) -> None:
    engine = ThresholdEngine(make_card(ORDER))
    engine.predict = lambda slices, borders: np.full(slices[:, 0].shape, 3, np.uint8)
    labels = predictions_of(engine, STRUCTURES)(*imaged, SegmentOptions(slices=range(2, 4)))
    assert labels.dtype == np.uint8
    assert (labels[2:4] == 1).all() and not labels[:2].any() and not labels[4:].any()
    engine.predict = lambda slices, borders: np.full(slices[:, 0].shape, 2, np.uint8)
    assert not predictions_of(engine, STRUCTURES)(*imaged, SegmentOptions()).any()  # no aorta here


def test_a_model_that_lacks_a_structure_is_refused_before_it_runs() -> None:
    engine = ThresholdEngine(make_card(("liver", "aorta")))
    with pytest.raises(EvaluationError, match="abdomen does not segment spleen.*liver, aorta"):
        predictions_of(engine, STRUCTURES)
    with pytest.raises(EvaluationError, match="does not segment spleen"):
        predictions_in(Path(), STRUCTURES, engine.card)


@pytest.mark.parametrize("card", [None, make_card(ORDER)])
def test_a_segmentation_for_slicer_says_itself_what_its_segments_are(
    tmp_path, imaged, card
) -> None:
    labels = in_order_of_card(boxes())
    write_segmentation(tmp_path / "scan.1.seg.nrrd", labels, imaged[1], make_card(ORDER))
    assert np.array_equal(read(tmp_path, imaged, card), boxes())


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_other_label_maps_have_the_cards_values_or_the_datasets(tmp_path, imaged, suffix) -> None:
    path = tmp_path / f"scan.1{suffix}"
    write_segmentation(path, in_order_of_card(boxes()), imaged[1], make_card(ORDER))
    assert np.array_equal(read(tmp_path, imaged, make_card(ORDER)), boxes())
    write_segmentation(path, boxes(), imaged[1], make_card(STRUCTURES), overwrite=True)
    assert np.array_equal(read(tmp_path, imaged), boxes())


def test_a_folder_that_is_not_there_is_told() -> None:
    with pytest.raises(EvaluationError, match="There is no folder nowhere"):
        predictions_in(Path("nowhere"), STRUCTURES)


def test_a_case_without_a_file_is_named_with_what_would_do(tmp_path, imaged) -> None:
    with pytest.raises(EvaluationError, match="no segmentation of case scan.1. Name it scan.1.seg"):
        read(tmp_path, imaged)


def test_two_files_of_a_case_are_one_too_many(tmp_path, imaged) -> None:
    for name in ("scan.1.nii.gz", "scan.1.seg.nrrd"):
        write_segmentation(tmp_path / name, boxes(), imaged[1], make_card(STRUCTURES))
    with pytest.raises(EvaluationError, match="scan.1.seg.nrrd, scan.1.nii.gz"):
        read(tmp_path, imaged)


def test_a_value_that_is_no_structure_is_not_taken_for_background(tmp_path, imaged) -> None:
    labels = boxes()
    labels[0, 0, 0] = 7
    image = sitk.GetImageFromArray(labels)
    origin, spacing, direction = sitk_geometry(imaged[1].ijk_to_ras)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(tmp_path / "scan.1.nii.gz"))
    with pytest.raises(EvaluationError, match="the value 7, which is no structure: 1 to 2 are"):
        read(tmp_path, imaged)


def test_segments_of_other_things_only_are_refused(tmp_path, imaged) -> None:
    card = make_card(("aorta", "kidney"))
    write_segmentation(tmp_path / "scan.1.seg.nrrd", boxes(), imaged[1], card)
    with pytest.raises(EvaluationError, match="no segment that is one of liver, spleen"):
        read(tmp_path, imaged)


@pytest.mark.parametrize("overlap", [0, 1])
def test_a_voxel_that_two_structures_claim_is_not_given_to_the_later_one(
    tmp_path, overlap: int
) -> None:
    image = Volume(np.zeros((2, 6, 6), np.int16), np.diag([-2.0, -3, 5, 1]), "x", "CT")
    layers = np.zeros((*image.shape, 2), np.uint8)
    layers[:, 3 - overlap :, :, 0] = 1  # spleen
    layers[:, :3, :, 1] = 1  # liver
    write_layers(tmp_path / "scan.1.seg.nrrd", layers, Segment1_Name="liver")
    predict = predictions_in(tmp_path, STRUCTURES)
    if overlap:
        message = r"scan.1.seg.nrrd has voxels that are both liver and spleen.*decide which"
        with pytest.raises(EvaluationError, match=message):
            predict(case("scan.1"), image, SegmentOptions())
    else:
        found = predict(case("scan.1"), image, SegmentOptions())
        assert np.array_equal(found == 1, layers[..., 1]) and found.all()


@pytest.mark.parametrize("suffix", [".nii.gz", ".seg.nrrd"])
def test_a_segmentation_on_another_grid_is_refused_and_not_resampled(
    tmp_path, imaged, suffix
) -> None:
    matrix = np.array(imaged[1].ijk_to_ras)
    matrix[:3, 3] += 50
    moved = Volume(imaged[1].array, matrix, "moved", "CT")
    write_segmentation(tmp_path / f"scan.1{suffix}", boxes(), moved, make_card(STRUCTURES))
    with pytest.raises(VolumeError, match=re.escape("not on the grid of scan.1")):
        read(tmp_path, imaged)


def test_a_damaged_segmentation_is_told(tmp_path, imaged) -> None:
    path = tmp_path / "scan.1.nii.gz"
    write_segmentation(path, boxes(), imaged[1], make_card(STRUCTURES))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(VolumeError, match="scan.1.nii.gz"):
        read(tmp_path, imaged)
