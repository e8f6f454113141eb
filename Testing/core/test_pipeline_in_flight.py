"""A volume whose batches are all on their way at once becomes what it becomes one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from phantom import GEOMETRIES, make_volume
from server_engine import ServerEngine
from shifting_organ import BlindEngine
from small_engines import make_engine
from worker_conversation import SteppedEngine

from GDLACore import arrivals
from GDLACore.errors import EngineError
from GDLACore.imaging.volume import Volume
from GDLACore.pipeline import (
    Progress,
    SegmentOptions,
    SliceResult,
    prepare,
    segment,
    segment_batches,
    segment_volume,
    segment_volume_with_confidence,
)


def ct(shape: tuple[int, ...] = (9, 7, 8)) -> Volume:
    volume = make_volume(GEOMETRIES["oblique"], shape)
    array = np.random.default_rng(1).integers(-300, 300, shape).astype(np.int16)
    return Volume(array, volume.ijk_to_ras, "scan", "CT")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerEngine]:
    monkeypatch.setattr(arrivals.arrivals, "__defaults__", (0.001,))
    engine = ServerEngine()
    yield engine
    engine.free()


@pytest.mark.parametrize(
    "options",
    [
        SegmentOptions(),
        SegmentOptions(focus_slice=6, batch_size=2),
        SegmentOptions(slices=range(1, 9, 3)),
        SegmentOptions(largest_component=True),
    ],
    ids=repr,
)
def test_the_labels_are_those_of_one_after_the_other(engine, options):
    expected = segment_volume(ct(), SteppedEngine(), options)
    assert expected.any()
    np.testing.assert_array_equal(segment_volume(ct(), engine, options), expected)
    assert threading.get_ident() not in engine.threads


def test_the_confidence_is_that_of_one_after_the_other(engine):
    expected = segment_volume_with_confidence(ct(), SteppedEngine())
    found = segment_volume_with_confidence(ct(), engine)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_threads_at_one_real_network_change_no_label():
    engine, volume = make_engine(), ct((7, 40, 30))
    expected = segment_volume(volume, engine)
    engine.in_flight = 4
    engine.batch_size = 1
    np.testing.assert_array_equal(segment_volume(volume, engine), expected)


def test_results_come_as_they_arrive_each_with_its_own_labels(engine):
    engine.hold()
    events = segment(ct(), engine, SegmentOptions(focus_slice=4))
    arrived: list[SliceResult] = []
    while len(arrived) < 9:
        next(events), next(events)
        engine.wait_for(min(3, 9 - len(arrived)) if arrived else 1)
        engine.let()
        arrived.append(next(event for event in events if isinstance(event, SliceResult)))
    order = [result.indices[0] for result in arrived]
    assert order[0] == 4 and sorted(order) == list(range(9))
    assert order[1:] != sorted(order[1:], key=lambda index: abs(index - 4)), "one by one"
    assert engine.most == 3
    bright = ct().array > 40
    for result in arrived:
        found = np.zeros(bright.shape, np.uint8)
        result.view.put(found, result.indices, result.labels)
        np.testing.assert_array_equal(found[result.indices[0]], bright[result.indices[0]])


@pytest.mark.parametrize("seed", range(8))
def test_no_order_of_arrival_changes_a_voxel(engine, seed):
    random = np.random.default_rng(seed)
    engine.in_flight = int(random.integers(2, 9))
    options = SegmentOptions(focus_slice=int(random.integers(9)), batch_size=seed % 3 + 1)
    engine.hold()
    labels = segment_volume(ct(), engine, options, lambda progress: engine.let_any(random))
    np.testing.assert_array_equal(labels, ct().array > 40)


def test_the_focus_comes_first_for_nothing_else_is_asked_before_it_is_there(engine):
    engine.hold()
    events = segment(ct(), engine, SegmentOptions(focus_slice=7))
    assert next(events) == Progress("segmenting", 0, 9)
    engine.wait_for(1)
    assert [next(events) for _ in range(3)] == [Progress("segmenting", 0, 9)] * 3
    assert engine.asked == 1
    engine.free()
    first = next(event for event in events if isinstance(event, SliceResult))
    assert first.indices == (7,)


def test_progress_is_repeated_while_nothing_arrives_and_never_goes_back(engine):
    engine.hold()
    events = segment(ct(), engine)
    assert [next(events) for _ in range(3)] == [Progress("segmenting", 0, 9)] * 3
    engine.wait_for(1)
    engine.let(1)
    seen = [next(events)]
    while not isinstance(seen[-1], SliceResult):
        seen.append(next(events))
    assert [next(events) for _ in range(3)] == [Progress("segmenting", 1, 9)] * 3
    engine.free()
    done = [event.done for event in events if isinstance(event, Progress)]
    assert all(one <= other for one, other in pairwise(done)) and done[-1] == 9


def test_stopping_asks_for_no_more_and_waits_for_none(engine):
    events = segment(ct(), engine)
    next(event for event in events if isinstance(event, SliceResult))
    engine.hold()
    assert isinstance(next(events), Progress)
    next(events)
    engine.wait_for(3)
    events.close()
    engine.free()
    np.testing.assert_array_equal(segment_volume(ct(), engine), ct().array > 40)
    assert engine.asked == 1 + 3 + 9


def test_the_error_of_one_ends_all(engine):
    def fail() -> None:
        raise EngineError("The server is gone.")

    engine.step = fail
    with pytest.raises(EngineError, match="The server is gone"):
        segment_volume(ct(), engine)


def test_an_engine_that_becomes_a_local_one_goes_on_one_by_one(engine):
    events = segment(ct(), engine)
    next(event for event in events if isinstance(event, SliceResult))
    engine.hold()
    next(events), next(events)
    engine.wait_for(3)
    engine.in_flight = 1
    engine.let(2)
    for _ in range(2):
        next(event for event in events if isinstance(event, SliceResult))
    assert engine.asked == 4
    engine.free()
    assert sum(isinstance(event, SliceResult) for event in events) == 6


class RemoteBlindEngine(BlindEngine):
    in_flight = 4


def test_corrections_are_followed_as_they_are_one_after_the_other(engine):
    volume = ct((6, 24, 24))
    corrected = {2: np.ones((24, 24), np.uint16)}
    local, remote = BlindEngine(), RemoteBlindEngine()
    events = [list(segment(volume, e, SegmentOptions(), corrected)) for e in (local, remote)]
    expected, found = (
        [event for event in listed if isinstance(event, SliceResult)] for listed in events
    )
    assert [result.indices for result in found] == [result.indices for result in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    assert (expected[2].labels == 1).all()
    assert events[1][-1] == Progress("segmenting", 6, 6)


def test_single_batches_come_with_turns_between_them(engine):
    engine.hold()
    prepared = prepare(ct(), engine.card)
    results = segment_batches(prepared, engine, iter([[4], [5, 3]]), SegmentOptions())
    assert next(results) is None
    engine.wait_for(1)
    engine.free()
    found = {result.indices for result in results if result is not None}
    assert found == {(4,), (5, 3)}
