"""Volumes that are prepared once, single slices of them, and confidence that lies as labels do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from phantom import GEOMETRIES, make_card, make_volume
from small_engines import RecordingEngine, make_engine, make_model_card

from GDLACore import pipeline
from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import DIHEDRAL_VIEWS, IntensityProfile
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import (
    SliceResult,
    prepare,
    segment,
    segment_prepared,
    segment_slices,
    segment_slices_with_confidence,
    segment_volume,
    segment_volume_with_confidence,
)


def scan(geometry: str = "oblique", shape: tuple[int, ...] = (9, 7, 8)) -> Volume:
    volume = make_volume(GEOMETRIES[geometry], shape)
    array = np.random.default_rng(1).integers(-300, 300, shape).astype(np.int16)
    return Volume(array, volume.ijk_to_ras, "scan", "CT")


def expected_confidence(volume: Volume) -> np.ndarray:
    """Return what RecordingEngine says: how far from the middle of the window a value is."""
    scaled = (volume.array.clip(-160, 240).astype(np.float32) + 160) / 400
    return np.abs(2 * scaled - 1)


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine(make_card())


# --- a prepared volume ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ct_window", "zscore_volume", "minmax_volume", "none"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_slice_asked_for_alone_gets_the_labels_it_has_in_the_whole(kind, geometry):
    limits = (-160, 240) if kind == "ct_window" else ()
    engine = make_engine(make_model_card(intensity=IntensityProfile(kind, *limits)))
    volume = scan(geometry, (5, 33, 40))
    whole = segment_volume(volume, engine)
    prepared = prepare(volume, engine.card)
    single = np.zeros_like(whole)
    for index in range(prepared.count):
        result = segment_slices(prepared, engine, [index], "smooth")
        assert result.indices == (index,) and result.confidence is None
        result.view.put(single, result.indices, result.labels)
    np.testing.assert_array_equal(single, whole)


def test_slices_come_in_the_order_in_which_they_are_asked_for(engine):
    volume = scan()
    result = segment_slices(prepare(volume, engine.card), engine, [6, 2, 7], "published")
    assert result.indices == (6, 2, 7) and engine.borders == {"published"}
    labels = np.zeros(volume.shape, np.uint8)
    result.view.put(labels, result.indices, result.labels)
    expected = np.zeros_like(labels)
    expected[[2, 6, 7]] = volume.array[[2, 6, 7]] > 40
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("indices", [[-1], [9], [0, 20], [-(10**12)]])
def test_a_slice_that_is_not_there_is_refused_with_those_that_are(engine, indices):
    prepared = prepare(scan(), engine.card)
    with pytest.raises(VolumeError, match=r"scan, which has 9 along"):
        segment_slices(prepared, engine, indices, "smooth")
    assert not engine.asked


def test_the_whole_volume_is_looked_at_once_however_many_slices_follow(engine, monkeypatch):
    looked = []
    for name in ("check_values", "normaliser"):
        original = getattr(pipeline, name)
        monkeypatch.setattr(
            pipeline, name, lambda *a, _n=name, _o=original: (looked.append(_n), _o(*a))[1]
        )
    prepared = prepare(scan(), engine.card)
    for index in (4, 5, 3):
        segment_slices(prepared, engine, [index], "smooth")
        list(segment_prepared(prepared, engine, SegmentOptions(slices=range(index, index + 1))))
    assert looked == ["check_values", "normaliser"]


def test_a_volume_the_model_is_not_for_is_not_prepared():
    volume = dataclasses.replace(scan(), modality="MR")
    with pytest.raises(VolumeError, match=r"scan is a MR image.*for CT images"):
        prepare(volume, make_card())


def test_a_prepared_volume_follows_what_is_written_into_it(engine):
    volume = scan()
    prepared = prepare(volume, engine.card)
    volume.array[3] = 200
    assert segment_slices(prepared, engine, [3], "smooth").labels.all()


# --- confidence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", DIHEDRAL_VIEWS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_confidence_lies_where_the_labels_lie(geometry, view):
    engine = RecordingEngine(dataclasses.replace(make_card(), view=view), batch_size=4)
    volume = scan(geometry)
    labels, sure = segment_volume_with_confidence(volume, engine)
    np.testing.assert_array_equal(labels, volume.array > 40)
    assert sure.dtype == np.float16
    np.testing.assert_allclose(sure, expected_confidence(volume), atol=1e-3)


def test_labels_do_not_depend_on_whether_confidence_is_asked_for():
    engine, volume = make_engine(), scan(shape=(6, 40, 30))
    labels, sure = segment_volume_with_confidence(volume, engine)
    np.testing.assert_array_equal(labels, segment_volume(volume, engine))
    one = segment_slices_with_confidence(prepare(volume, engine.card), engine, [4, 2], "smooth")
    again = np.full_like(sure, np.nan)
    one.view.put(again, one.indices, one.confidence)
    np.testing.assert_array_equal(again[[2, 4]], sure[[2, 4]])


def test_results_have_confidence_only_if_it_was_asked_for(engine):
    for asked in (False, True):
        results = [
            event
            for event in segment(scan(), engine, SegmentOptions(confidence=asked, focus_slice=4))
            if isinstance(event, SliceResult)
        ]
        assert len(results) == 5
        assert all((one.confidence is not None) == asked for one in results)


def test_slices_that_were_not_asked_for_have_no_confidence(engine):
    _, sure = segment_volume_with_confidence(scan(), engine, SegmentOptions(slices=range(2, 5)))
    np.testing.assert_array_equal(
        np.isnan(sure).all(axis=(1, 2)), [not 2 <= k < 5 for k in range(9)]
    )
    assert not np.isnan(sure[2:5]).any()


def test_progress_and_cleaning_are_as_without_confidence(engine):
    options = SegmentOptions(largest_component=True)
    without, beside = [], []
    labels = segment_volume(scan(), engine, options, without.append)
    again, _ = segment_volume_with_confidence(scan(), engine, options, beside.append)
    np.testing.assert_array_equal(again, labels)
    assert beside == without


def test_a_colour_picture_has_one_confidence_for_each_pixel():
    engine = make_engine(make_model_card("RGB", 3))
    array = np.random.default_rng(2).integers(0, 255, (2, 40, 50, 3)).astype(np.uint8)
    picture = Volume(array, np.eye(4), "picture")
    labels, sure = segment_volume_with_confidence(picture, engine)
    assert labels.shape == sure.shape == (2, 40, 50)
