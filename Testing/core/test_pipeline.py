"""From a volume and an engine to labels: order, ranges, stopping, and images nobody expected."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from phantom import GEOMETRIES, make_card, make_volume
from small_engines import RecordingEngine, make_engine, make_model_card

from GDLACore.errors import Cancelled, VolumeError
from GDLACore.imaging.suitability import check_volume
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import IntensityProfile
from GDLACore.pipeline import (
    Progress,
    SegmentOptions,
    SliceResult,
    segment,
    segment_volume,
)

MIDDLE = 40  # HU, of the card's window


def ct(shape: tuple[int, ...] = (9, 7, 8), dtype: type = np.int16) -> Volume:
    """Return noise over and under the middle of the window."""
    volume = make_volume(GEOMETRIES["oblique"], shape)
    array = np.random.default_rng(1).integers(-300, 300, shape).astype(dtype)
    return Volume(array, volume.ijk_to_ras, "scan", "CT")


def bright(volume: Volume) -> np.ndarray:
    return (volume.array > MIDDLE).astype(np.uint8)


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine(make_card())


def order_of(volume: Volume, engine: RecordingEngine, options: SegmentOptions) -> list[tuple]:
    return [e.indices for e in segment(volume, engine, options) if isinstance(e, SliceResult)]


# --- order and ranges ---------------------------------------------------------------------------


def test_the_focus_slice_comes_first_and_the_farthest_last(engine):
    engine.batch_size = 1
    order = order_of(ct(), engine, SegmentOptions(focus_slice=6))
    assert order == [(6,), (5,), (7,), (4,), (8,), (3,), (2,), (1,), (0,)]


def test_the_focus_slice_is_in_the_first_batch_and_each_batch_is_in_order(engine):
    engine.batch_size = 4
    order = order_of(ct(), engine, SegmentOptions(focus_slice=1))
    assert order == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]
    assert 6 in order_of(ct(), engine, SegmentOptions(focus_slice=6))[0]


@pytest.mark.parametrize(("focus", "first"), [(-4, 0), (99, 8)])
def test_a_focus_outside_the_volume_starts_at_the_nearest_slice(engine, focus, first):
    assert order_of(ct(), engine, SegmentOptions(focus_slice=focus))[0][0] in (first, first - 1)


def test_the_order_does_not_change_the_labels(engine):
    expected = segment_volume(ct(), engine)
    np.testing.assert_array_equal(expected, bright(ct()))
    for focus in (0, 4, 8, 50):
        options = SegmentOptions(focus_slice=focus, batch_size=3)
        np.testing.assert_array_equal(segment_volume(ct(), engine, options), expected)


@pytest.mark.parametrize("wanted", [range(2, 5), range(9), range(8, 9), range(1, 9, 3)])
def test_only_the_slices_asked_for_are_labelled(engine, wanted):
    result = segment_volume(ct(), engine, SegmentOptions(slices=wanted, focus_slice=4))
    expected = np.zeros_like(bright(ct()))
    expected[list(wanted)] = bright(ct())[list(wanted)]
    np.testing.assert_array_equal(result, expected)
    assert sum(len(slices) for slices in engine.asked) == len(wanted)


@pytest.mark.parametrize(
    "wanted",
    [range(3, 3), range(5, 2), range(-1, 4), range(4, 10), range(20, 30), range(10**12)],
)
def test_a_range_outside_the_volume_is_refused_with_the_one_that_is_possible(engine, wanted):
    with pytest.raises(VolumeError, match=f"{wanted.start}:{wanted.stop}.*0:9"):
        segment(ct(), engine, SegmentOptions(slices=wanted))
    assert not engine.asked


@pytest.mark.parametrize("options", [{"borders": "sharp"}, {"batch_size": 0}, {"batch_size": -1}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        SegmentOptions(**options)


@pytest.mark.parametrize("borders", ["smooth", "published"])
def test_the_engine_is_told_which_borders(engine, borders):
    segment_volume(ct(), engine, SegmentOptions(borders=borders))
    assert engine.borders == {borders}


# --- batches, progress and stopping -------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 4, 9, 1000])
def test_the_batch_size_never_changes_the_labels_of_the_real_network(batch_size):
    volume, engine = ct((9, 40, 30)), make_engine()
    expected = segment_volume(volume, engine)
    assert len(np.unique(expected)) > 1
    options = SegmentOptions(batch_size=batch_size)
    np.testing.assert_array_equal(segment_volume(volume, engine, options), expected)


def test_batches_are_as_the_engine_likes_them_even_if_it_changes_its_mind(engine):
    engine.batch_size = 4
    events = segment(ct(), engine)
    next(events)
    engine.batch_size = 2
    list(events)
    assert [len(slices) for slices in engine.asked] == [4, 2, 2, 1]


def test_a_huge_batch_is_cut_so_that_the_first_result_does_not_take_forever(engine):
    segment_volume(ct((150, 2, 2)), engine, SegmentOptions(batch_size=5000))
    assert [len(slices) for slices in engine.asked] == [64, 64, 22]


def test_progress_follows_every_batch_and_ends_with_everything_done(engine):
    engine.batch_size = 4
    seen: list[Progress] = []
    segment_volume(ct(), engine, SegmentOptions(largest_component=True), seen.append)
    assert [(p.phase, p.done, p.total) for p in seen] == [
        *(("segmenting", done, 9) for done in (4, 8, 9)),
        *(("cleaning", done, 3) for done in (1, 2, 3)),
    ]


def test_stopping_midway_asks_for_no_more_slices_and_leaves_the_engine_usable(engine):
    events = segment(ct(), engine, SegmentOptions(focus_slice=4))
    assert isinstance(next(events), SliceResult)
    events.close()
    assert len(engine.asked) == 1
    np.testing.assert_array_equal(segment_volume(ct(), engine), bright(ct()))


def test_cancelling_from_the_progress_report_stops_at_once(engine):
    def cancel(progress: Progress) -> None:
        if progress.done >= 4:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        segment_volume(ct(), engine, on_progress=cancel)
    assert len(engine.asked) == 2
    with pytest.raises(Cancelled):
        options = SegmentOptions(largest_component=True, slices=range(3))
        segment_volume(ct(), engine, options, lambda p: cancel(Progress("", 9, 9)))


def test_the_largest_part_of_a_structure_is_kept_only_on_request(engine):
    array = np.full((6, 8, 8), -1000, np.int16)
    array[1:4, 2:5, 2:5] = 200
    array[5, 7, 7] = 200
    volume = Volume(array, np.eye(4), "scan")
    assert segment_volume(volume, engine).sum() == 28
    cleaned = segment_volume(volume, engine, SegmentOptions(largest_component=True))
    assert cleaned.sum() == 27
    assert cleaned[5, 7, 7] == 0


# --- unusual but usable images -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 40, 50), (3, 33, 40), (21, 120, 45), (4, 40, 1), (2, 1, 1)])
@pytest.mark.parametrize("borders", ["smooth", "published"])
def test_the_labels_have_the_shape_of_any_volume(shape, borders):
    result = segment_volume(ct(shape), make_engine(), SegmentOptions(borders=borders))
    assert result.shape == shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize("kind", ["ct_window", "zscore_volume", "minmax_volume", "none"])
@pytest.mark.parametrize("value", [-1000, 0, 5000])
def test_a_constant_image_is_segmented_quietly(kind, value, recwarn):
    intensity = IntensityProfile(kind, *((-160, 240) if kind == "ct_window" else ()))
    volume = Volume(np.full((2, 40, 40), value, np.int16), np.eye(4), "nothing")
    segment_volume(volume, make_engine(make_model_card(intensity=intensity)))
    assert not [w for w in recwarn if w.category is RuntimeWarning]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_count_as_the_windows_floor_with_a_warning(caplog, value):
    spoilt, floor = ct(dtype=np.float32), ct(dtype=np.float32)
    for volume, filling in ((spoilt, value), (floor, -160)):
        volume.array[2:4, 3, 3:6] = filling
    with caplog.at_level(logging.WARNING):
        result = segment_volume(spoilt, make_engine())
    np.testing.assert_array_equal(result, segment_volume(floor, make_engine()))
    assert [r.getMessage() for r in caplog.records if "6 voxels" in r.getMessage()]
    assert np.isnan(spoilt.array).sum() == (6 if np.isnan(value) else 0)


def test_padding_outside_the_scanners_circle_counts_as_air():
    padded, air = ct((3, 40, 40), np.int32), ct((3, 40, 40), np.int32)
    for volume, filling in ((padded, -3024), (air, -1000)):
        volume.array[:, :5] = filling
    engine = make_engine()
    np.testing.assert_array_equal(segment_volume(padded, engine), segment_volume(air, engine))


def test_a_read_only_volume_on_disk_is_segmented_in_place(tmp_path, engine):
    np.save(tmp_path / "scan.npy", ct().array)
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    volume = Volume(mapped, ct().ijk_to_ras, "scan")
    np.testing.assert_array_equal(segment_volume(volume, engine), bright(ct()))


def test_more_than_255_structures_need_two_bytes():
    engine = RecordingEngine(make_card(tuple(f"structure {i}" for i in range(256))))
    assert segment_volume(ct(), engine).dtype == np.uint16


# --- which image suits which model ---------------------------------------------------------------


def image(modality: str | None, channels: int) -> Volume:
    shape = (2, 6, 7) if channels == 1 else (2, 6, 7, 3)
    array = np.random.default_rng(2).integers(0, 255, shape).astype(np.uint8)
    return Volume(array, np.eye(4), "picture", modality)


CT, MR = make_model_card(), make_model_card("MR")
US, SKIN = make_model_card("US", 3), make_model_card("RGB", 3)


@pytest.mark.parametrize(
    ("card", "modality", "channels", "reason"),
    [
        (CT, "MR", 1, "MR image.*CT images"),
        (CT, "PT", 1, "PT image.*CT images"),
        (CT, None, 3, "colour image.*grey CT images"),
        (CT, "OT", 3, "screenshot"),
        (MR, "CT", 1, "CT image.*MR images"),
        (US, "CT", 1, "CT image.*ultrasound"),
        (SKIN, "CT", 1, "CT image.*colour photographs"),
        (SKIN, "US", 3, "US image.*colour photographs"),
        (SKIN, None, 1, "grey image.*colour photographs.*original colour image"),
    ],
)
def test_an_image_the_model_is_not_for_is_refused_before_anything_is_done(
    card, modality, channels, reason
):
    engine = RecordingEngine(card)
    with pytest.raises(VolumeError, match=reason):
        segment(image(modality, channels), engine)
    assert not engine.asked


@pytest.mark.parametrize(
    ("card", "modality", "channels"),
    [
        *[(CT, known, 1) for known in ("CT", None, "OT", "SC")],
        *[(MR, known, 1) for known in ("MR", None)],
        *[(US, known, channels) for known in ("US", None, "OT") for channels in (1, 3)],
        *[(SKIN, known, 3) for known in ("XC", "ES", None, "OT")],
    ],
)
def test_an_image_the_model_may_be_for_is_accepted(card, modality, channels):
    check_volume(image(modality, channels), card)


@pytest.mark.parametrize("card", [US, make_model_card("RGB", 3)])
def test_a_ct_in_a_file_that_does_not_say_so_is_refused_by_models_of_pictures(card):
    channels = 1 if card is US else 3
    scan = image(None, channels)
    scan = Volume(scan.array.astype(np.int16) - 1024, scan.ijk_to_ras, "scan.nii.gz")
    with pytest.raises(VolumeError, match=r"scan\.nii\.gz has negative values, as CT has"):
        segment(scan, RecordingEngine(card))


@pytest.mark.parametrize(("card", "lowest"), [(MR, -1024), (CT, 0)])
def test_values_that_hardly_suit_the_model_are_warned_of(card, lowest, caplog):
    scan = image(None, 1)
    array = scan.array.astype(np.int16) - int(scan.array.min()) + lowest
    segment(Volume(array, scan.ijk_to_ras, "scan"), RecordingEngine(card))
    assert "check the result" in caplog.text


def test_an_image_without_contrast_is_warned_of(caplog):
    scan = Volume(np.full((2, 6, 7), 40, np.int16), np.eye(4), "empty", "CT")
    segment(scan, RecordingEngine(CT))
    assert "All values of empty are the same (40)" in caplog.text


def test_a_grey_ultrasound_picture_gives_what_the_same_picture_in_colour_gives():
    grey = image("US", 1)
    colour = Volume(np.repeat(grey.array[..., None], 3, axis=3), grey.ijk_to_ras, "c", "US")
    engine = make_engine(US)
    np.testing.assert_array_equal(segment_volume(grey, engine), segment_volume(colour, engine))


def test_the_channels_of_a_colour_picture_reach_the_network_in_order():
    engine, picture = RecordingEngine(SKIN), image("XC", 3)
    segment_volume(picture, engine)
    asked = np.concatenate(engine.asked)
    np.testing.assert_array_equal(asked, picture.array.transpose(0, 3, 1, 2))
    assert asked.dtype == np.float32
