"""A corrected slice helps the slices beside it, and changes nothing that it should not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from phantom import make_volume
from shifting_organ import COUNT, ORGAN, OTHER, BlindEngine, dice, shifting_organ

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.options import UNSAID, SegmentOptions
from GDLACore.pipeline import SliceResult, segment, segment_volume
from GDLACore.review.propagation import Change, reassured, relabelled

MIDDLE = COUNT // 2
BLIND = BlindEngine()
EVERYTHING = SegmentOptions()


def rerun(
    volume: Volume,
    corrections: dict[int, np.ndarray],
    options: SegmentOptions = EVERYTHING,
) -> np.ndarray:
    """Return all labels [k, j, i]."""
    labels = np.zeros(volume.shape, np.uint8)
    for event in segment(volume, BLIND, options, corrections):
        if isinstance(event, SliceResult):
            event.view.put(labels, event.indices, event.labels)
    return labels


@pytest.fixture(scope="module")
def organ() -> tuple[Volume, np.ndarray]:
    return shifting_organ()


def test_the_network_alone_misses_the_organ_and_sees_the_other(organ):
    volume, truth = organ
    labels = segment_volume(volume, BLIND)
    assert not (labels == ORGAN).any()
    assert dice(labels, truth, OTHER) > 0.7


def test_an_organ_that_the_network_misses_is_followed_from_a_corrected_slice(organ):
    volume, truth = organ
    labels = rerun(volume, {MIDDLE: truth[MIDDLE]})
    for index in MIDDLE - 2, MIDDLE - 1, MIDDLE + 1, MIDDLE + 2:
        followed = dice(labels[index], truth[index], ORGAN)
        assert followed > 0.85
        assert followed > dice(truth[MIDDLE], truth[index], ORGAN)  # better than a copy


def test_corrected_slices_remain_what_the_user_made_of_them(organ):
    volume, truth = organ
    strange = truth[MIDDLE].copy()
    strange[3:9, 4:11] = 3
    labels = rerun(volume, {MIDDLE: strange, 0: truth[0]})
    assert np.array_equal(labels[MIDDLE], strange)
    assert np.array_equal(labels[0], truth[0])


def test_between_two_corrected_slices_both_tell(organ):
    volume, truth = organ
    low, high = MIDDLE - 2, MIDDLE + 2
    labels = rerun(volume, {low: truth[low], high: truth[high]})
    for index in range(low + 1, high):
        assert dice(labels[index], truth[index], ORGAN) > 0.85


def test_between_two_corrected_slices_the_nearer_one_tells_more(organ):
    volume, truth = organ
    right = segment_volume(volume, BLIND)[MIDDLE + 4]
    labels = rerun(volume, {MIDDLE: truth[MIDDLE], MIDDLE + 4: right})
    found = [(labels[MIDDLE + step] == ORGAN).sum() for step in (1, 2, 3)]
    assert found[0] > found[2]
    assert found[0] >= found[1] >= found[2]


def test_what_two_corrections_add_at_different_places_counts_at_both():
    logits = np.zeros((2, 4, 4), np.float32)
    logits[0] = 1
    whole = np.s_[:4, :4]
    grey = np.zeros((4, 4), np.float32)
    change = Change(whole, (1,), grey[np.newaxis], grey, floor=0, extent=1, shrinking=1)
    first, second = np.zeros((2, 1, 4, 4), np.float32)
    first[0, 0, 0] = second[0, 3, 3] = 2
    labels = relabelled(np.zeros((4, 4), np.uint8), logits, [(change, first), (change, second)])
    assert np.argwhere(labels).tolist() == [[0, 0], [3, 3]]
    expected = np.full((4, 4), 0.25, np.float16)
    sure = reassured(expected, logits, [(change, first), (change, second)])
    expected[0, 0] = expected[3, 3] = np.tanh(0.5)
    assert np.array_equal(sure, expected)


def test_a_corrected_slice_in_which_the_network_was_right_speaks_for_the_network(organ):
    volume, truth = organ
    right = segment_volume(volume, BLIND)[MIDDLE + 2]
    alone = rerun(volume, {MIDDLE: truth[MIDDLE]})
    both = rerun(volume, {MIDDLE: truth[MIDDLE], MIDDLE + 2: right})
    assert (both[MIDDLE + 1] == ORGAN).sum() < (alone[MIDDLE + 1] == ORGAN).sum()
    assert np.array_equal(both[MIDDLE - 2], alone[MIDDLE - 2])  # on the other side it says nothing
    assert not (both[MIDDLE + 3] == ORGAN).any()  # behind it, nothing of the first


@pytest.mark.parametrize("edge", [0, COUNT - 1])
def test_the_first_and_the_last_slice_can_be_corrected(organ, edge):
    volume, truth = organ
    beside = 1 if edge == 0 else COUNT - 2
    labels = rerun(volume, {edge: truth[edge]})
    assert dice(labels[beside], truth[beside], ORGAN) > 0.85


@pytest.mark.parametrize("shape", [(64, 64), (61, 150), (300, 280), (20, 24)])
def test_slices_may_have_any_size(shape):
    volume, truth = shifting_organ(shape)
    labels = rerun(volume, {MIDDLE: truth[MIDDLE]})
    assert dice(labels[MIDDLE + 1], truth[MIDDLE + 1], ORGAN) > 0.8


@pytest.mark.parametrize("shape", [(2, 40), (40, 2), (3, 3)])
def test_slices_of_hardly_any_pixels_do_no_harm(shape):
    array = np.random.default_rng(2).integers(-160, 240, (3, *shape)).astype(np.int16)
    volume = Volume(array, np.diag([1.0, 1.0, 3.0, 1.0]), "strip", "CT")
    labels = rerun(volume, {1: np.full(shape, ORGAN, np.uint8)})
    assert (labels[1] == ORGAN).all()


@pytest.mark.parametrize("storage", ["coronal storage", "flipped", "left-handed oblique"])
def test_it_does_not_matter_how_the_volume_is_stored(storage):
    volume, truth = shifting_organ(storage="axial")
    expected = rerun(volume, {MIDDLE: truth[MIDDLE]}) == ORGAN
    turned, _ = shifting_organ(storage=storage)
    if storage == "coronal storage":  # k and j change places, and the slices with them
        matrix = volume.ijk_to_ras[:, [0, 2, 1, 3]]
        turned = dataclasses.replace(volume, array=volume.array.swapaxes(0, 1), ijk_to_ras=matrix)
        found = rerun(turned, {MIDDLE: truth[MIDDLE]}).swapaxes(0, 1) == ORGAN
        assert np.array_equal(found, expected)
    else:
        found = rerun(turned, {MIDDLE: truth[MIDDLE]})
        assert dice(found[MIDDLE + 1], truth[MIDDLE + 1], ORGAN) > 0.85


@pytest.mark.parametrize("borders", ["smooth", "published"])
def test_a_slice_that_is_the_networks_leaves_its_neighbours_the_networks_to_the_bit(organ, borders):
    volume, _ = organ
    options = SegmentOptions(borders=borders)
    alone = segment_volume(volume, BLIND, options)
    assert np.array_equal(rerun(volume, {MIDDLE: alone[MIDDLE]}, options), alone)


def test_structures_that_were_not_corrected_stay_the_networks(organ):
    volume, truth = organ
    alone = segment_volume(volume, BLIND)
    corrected = alone[MIDDLE].copy()
    corrected[truth[MIDDLE] == ORGAN] = ORGAN
    labels = rerun(volume, {MIDDLE: corrected})
    assert (labels == ORGAN).sum() > (truth[MIDDLE] == ORGAN).sum()
    assert np.array_equal(labels == OTHER, alone == OTHER)


def test_what_is_left_unsaid_stays_the_networks_and_tells_of_nothing(organ):
    volume, truth = organ
    alone = segment_volume(volume, BLIND)
    corrected = np.where(truth[MIDDLE] == ORGAN, ORGAN, 0).astype(np.uint16)
    corrected[(alone[MIDDLE] == OTHER) & (corrected == 0)] = UNSAID
    labels = rerun(volume, {MIDDLE: corrected})
    assert np.array_equal(labels == OTHER, alone == OTHER)
    assert dice(labels[MIDDLE + 1], truth[MIDDLE + 1], ORGAN) > 0.85
    nothing = rerun(volume, {MIDDLE: np.full_like(corrected, UNSAID)})
    assert np.array_equal(nothing, alone)


def test_what_the_user_erased_is_erased_beside_it_too(organ):
    volume, truth = organ
    corrected = truth[MIDDLE] * (truth[MIDDLE] != OTHER)
    labels = rerun(volume, {MIDDLE: corrected})
    assert not (labels[MIDDLE - 1 : MIDDLE + 2] == OTHER).any()


def test_where_the_image_shows_nothing_alike_nothing_is_carried(organ):
    volume, truth = organ
    array = volume.array.copy()
    array[MIDDLE + 1 :] = -900
    labels = rerun(dataclasses.replace(volume, array=array), {MIDDLE: truth[MIDDLE]})
    assert not (labels[MIDDLE + 1 :] == ORGAN).any()
    assert (labels[MIDDLE - 1] == ORGAN).any()


def test_the_farther_a_slice_lies_the_less_it_is_told(organ):
    volume, truth = organ
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 2] *= 20  # 60 mm from slice to slice
    labels = rerun(dataclasses.replace(volume, ijk_to_ras=matrix), {MIDDLE: truth[MIDDLE]})
    assert not (labels[MIDDLE + 1] == ORGAN).any()


def test_the_same_corrections_give_the_same_labels(organ):
    volume, truth = organ
    first, second = (rerun(volume, {MIDDLE: truth[MIDDLE]}) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_order_and_number_of_slices_asked_for_does_not_matter(organ):
    volume, truth = organ
    corrections = {MIDDLE: truth[MIDDLE], 1: truth[1]}
    whole = rerun(volume, corrections)
    some = rerun(volume, corrections, SegmentOptions(slices=range(2, 8), focus_slice=6))
    assert np.array_equal(some[2:8], whole[2:8])
    assert not some[:2].any() and not some[8:].any()


def test_confidence_comes_with_it_and_is_the_networks_only_where_the_network_was_not_contradicted(
    organ,
):
    volume, truth = organ
    options = SegmentOptions(confidence=True, slices=range(MIDDLE, MIDDLE + 2))
    results = [
        event
        for event in segment(volume, BLIND, options, {MIDDLE: truth[MIDDLE]})
        if isinstance(event, SliceResult)
    ]
    assert [one.indices for one in results] == [(MIDDLE,), (MIDDLE + 1,)]
    corrected, beside = (one.confidence[0] for one in results)
    assert (corrected == 1).all()
    organ_found = results[1].labels[0] == ORGAN
    assert (beside[organ_found] < 0.9).any()
    assert (beside != 1).any() and (beside[:, :20] == 1).all()


def test_the_corrected_labels_are_not_written_to(organ):
    volume, truth = organ
    given = truth[MIDDLE].astype(np.uint16)
    given.flags.writeable = False
    assert (rerun(volume, {MIDDLE: given})[MIDDLE + 1] == ORGAN).any()


@pytest.mark.parametrize(
    ("index", "labels", "told"),
    [
        (COUNT, np.zeros((96, 112), np.uint8), "no range of slices"),
        (-1, np.zeros((96, 112), np.uint8), "no range of slices"),
        (3, np.zeros((112, 96), np.uint8), "112 x 96 pixels"),
        (3, np.full((96, 112), 4, np.uint8), "does not know"),
        (3, np.full((96, 112), -1, np.int8), "does not know"),
        (3, np.zeros((96, 112), np.float32), "does not know"),
    ],
)
def test_corrections_that_do_not_fit_are_refused_before_anything_is_computed(
    organ, index, labels, told
):
    volume, _ = organ
    with pytest.raises(VolumeError, match=told):
        segment(volume, BLIND, SegmentOptions(), {index: labels})


def test_a_volume_of_one_slice_is_its_correction():
    volume = dataclasses.replace(make_volume(np.eye(3), (1, 40, 40)), modality="CT")
    corrected = np.random.default_rng(1).integers(0, 4, (40, 40)).astype(np.uint8)
    assert np.array_equal(rerun(volume, {0: corrected})[0], corrected)
