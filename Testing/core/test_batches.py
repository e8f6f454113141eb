from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from phantom import make_card
from scipy import ndimage
from training_data import STRUCTURES, write_case, write_dataset

pytest.importorskip("torch")

import torch
from torch.utils.data import DataLoader

from GDLACore.errors import TrainingError
from GDLACore.imaging.volume import Volume
from GDLACore.training import distributed
from GDLACore.training.arms import add_arms
from GDLACore.training.batches import Batch, TrainingBatches
from GDLACore.training.dataset import read_dataset
from GDLACore.training.recipe import Recipe
from GDLACore.training.resliced import ReslicedSlices
from GDLACore.training.volume_slices import VolumeSlices


def _batches(tmp_path: Path, augmentation: str) -> TrainingBatches:
    recipe = Recipe(augmentation=augmentation, batch_size=3, iterations=20, sizes=(32, 64))
    dataset = read_dataset(write_dataset(tmp_path, auxiliary=["bone"]))
    return TrainingBatches(dataset, make_card(STRUCTURES), recipe)


def _same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("augmentation", ["published", "resliced"])
def test_a_batch_depends_on_seed_and_number_alone(tmp_path: Path, augmentation: str) -> None:
    batches = _batches(tmp_path, augmentation)
    seventh, eighth = batches[7], batches[8]
    assert _same(_batches(tmp_path, augmentation)[7], seventh)
    assert not _same(seventh, eighth)


def test_processes_that_load_data_draw_the_same_batches(tmp_path: Path) -> None:
    batches = _batches(tmp_path, "published")
    loaded = DataLoader(batches, batch_size=None, sampler=range(5, 9), num_workers=2)
    for number, batch in zip(range(5, 9), loaded, strict=True):
        assert _same(Batch(*batch), batches[number])


def test_batches_can_be_sent_to_processes_that_are_started_anew(tmp_path: Path) -> None:
    dataset = read_dataset(
        write_dataset(
            tmp_path,
            cases=[{**write_case(tmp_path, "a", 1), "validation_slices": [0, 2]}],
            validation_patients=[],
        )
    )
    batches = TrainingBatches(dataset, make_card(STRUCTURES), Recipe(batch_size=2, sizes=(32,)))
    assert _same(pickle.loads(pickle.dumps(batches))[4], batches[4])


@pytest.mark.parametrize("augmentation", ["published", "resliced"])
def test_what_is_held_back_for_validation_is_not_taught(tmp_path: Path, augmentation: str) -> None:
    """All structures are in the slices 3 to 9."""
    case = {**write_case(tmp_path, "a", 1), "validation_slices": [3, 10]}
    dataset = read_dataset(write_dataset(tmp_path, cases=[case], validation_patients=[]))
    recipe = Recipe(augmentation=augmentation, batch_size=4, sizes=(32,))
    batches = TrainingBatches(dataset, make_card(STRUCTURES), recipe)
    for number in range(4):
        assert not ((batches[number].target > 0) & (batches[number].target < 255)).any()


def test_a_case_is_drawn_as_often_as_its_weight_says(tmp_path: Path) -> None:
    cases = [
        {**write_case(tmp_path, name, 1), "weight": weight} for name, weight in (("a", 3), ("b", 1))
    ]
    dataset = read_dataset(write_dataset(tmp_path, cases=cases, validation_patients=[]))
    recipe = Recipe(batch_size=2000, sizes=(32,))
    batches = TrainingBatches(dataset, make_card(STRUCTURES), recipe)
    drawn = batches._cases(0, torch.Generator().manual_seed(0))
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.04)


def test_a_process_draws_its_share_of_what_one_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _batches(tmp_path, "published")[3]
    monkeypatch.setattr(distributed, "process_count", lambda: 2)
    for rank, share in ((0, slice(0, 1)), (1, slice(1, 3))):
        monkeypatch.setattr(distributed, "process_rank", lambda rank=rank: rank)
        part = _batches(tmp_path, "published")[3]
        assert _same(part, Batch(*(value[share] for value in whole)))


@pytest.mark.parametrize("sampling", ["weighted", "shuffled"])
def test_shuffled_epochs_show_every_case_once(tmp_path: Path, sampling: str) -> None:
    """Of two cases in batches of two, "weighted" draws one twice now and then."""
    path = write_dataset(tmp_path, validation_patients=[])
    recipe = Recipe(batch_size=2, iterations=12, sizes=(32,), sampling=sampling)
    batches = TrainingBatches(read_dataset(path), make_card(STRUCTURES), recipe)
    drawn = [batches._cases(n, torch.Generator().manual_seed(n)) for n in range(12)]
    once = [sorted(cases) == [0, 1] for cases in drawn]
    assert all(once) == (sampling == "shuffled")
    assert [0, 1] in drawn and [1, 0] in drawn


@pytest.mark.parametrize("augmentation", ["published", "resliced"])
def test_image_and_target_move_together(tmp_path: Path, augmentation: str) -> None:
    batches = _batches(tmp_path, augmentation)
    seen = 0
    for number in range(12):
        images, target, known = batches[number]
        assert images.dtype == torch.float32 and target.shape == images[:, 0].shape
        assert known.shape == (3, 4) and known.all()
        for image, labels in zip(images[:, 0], target, strict=True):
            inside, outside = image[labels > 0], image[labels == 0]
            if len(inside) > 20:
                seen += 1
                assert inside.mean() > outside.mean() + 0.1
    assert seen > 5


def _slice_with_a_corner() -> tuple[Volume, np.ndarray]:
    classes = np.zeros((1, 64, 64), np.uint8)
    classes[0, :32, :32] = 1
    classes[0, :32, 32:] = 2
    image = classes.astype(np.int16) * 100
    return Volume(image, np.diag([-1.0, -1.0, 1.0, 1.0]), "corner"), classes


def test_the_published_turns_are_only_the_four_reflections_or_a_small_rotation() -> None:
    volume, classes = _slice_with_a_corner()
    slices = VolumeSlices(volume, classes, make_card(STRUCTURES), range(1))
    original = classes[0]
    reflections = {
        array.tobytes()
        for array in (
            np.flipud(original),
            np.fliplr(original),
            original.T,
            np.rot90(original, 2).T,
        )
    }
    random = torch.Generator().manual_seed(0)
    turned = [slices.draw(64, random)[1].numpy() for _ in range(60)]
    rotations = {
        ndimage.rotate(original, angle, order=0, reshape=False).tobytes()
        for angle in range(-20, 20)
    }
    found = {array.tobytes() for array in turned}
    assert reflections <= found
    assert len(found & rotations) > 3
    assert found <= reflections | rotations | {original.tobytes()}


def test_the_published_image_turns_with_its_labels() -> None:
    volume, classes = _slice_with_a_corner()
    slices = VolumeSlices(volume, classes, make_card(STRUCTURES), range(1))
    random = torch.Generator().manual_seed(1)
    for _ in range(20):
        image, target = slices.draw(64, random)
        # Classes 0, 1, 2 are 0, 100, 200 HU in the window of -160 to 240.
        grey = (image[0] * 400 - 160) / 100
        assert torch.equal(grey.round().clamp(0, 2)[4:-4, 4:-4], target.float()[4:-4, 4:-4])


def test_resliced_slices_show_the_radiological_view() -> None:
    # The patient's right is brighter, and anterior is brighter than posterior.
    image = np.full((8, 40, 40), 0, np.int16)
    image[:, :, :20] += 100
    image[:, :20] += 50
    classes = (image > 120).astype(np.uint8)  # right anterior
    volume = Volume(image, np.diag([-8.0, -8.0, 5.0, 1.0]), "sides")
    slices = ReslicedSlices(volume, classes, make_card(STRUCTURES), range(8))
    random = torch.Generator().manual_seed(0)
    shown = 0
    for _ in range(10):
        _, target = slices.draw(64, random)
        rows, columns = np.nonzero(target.numpy() == 1)
        if len(rows):
            shown += 1
            assert rows.mean() < 36 and columns.mean() < 36
    assert shown >= 8


def test_the_resliced_augmentation_refuses_models_that_are_not_for_axial_ct() -> None:
    volume, classes = _slice_with_a_corner()
    data = make_card(STRUCTURES).to_dict()
    data.update(modality="MR")
    card = type(make_card(STRUCTURES)).from_dict(data)
    with pytest.raises(TrainingError, match="resliced"):
        ReslicedSlices(volume, classes, card, range(1))


def test_arms_fill_air_only_and_label_their_bones() -> None:
    image = torch.full((1, 96, 96), -1000.0)
    image[:, 30:70, 34:62] = 40.0
    target = torch.zeros(96, 96, dtype=torch.uint8)
    target[40:60, 40:55] = 1
    random = torch.Generator().manual_seed(0)
    with_arms, labels = add_arms(image, target, bone=2, pixel=5.0, random=random)
    body = image > -200
    assert torch.equal(with_arms[body], image[body])
    assert torch.equal(labels == 1, target == 1)
    assert (with_arms[0][labels == 2] > 300).all() and (labels == 2).sum() > 4
