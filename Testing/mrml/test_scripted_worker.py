"""The scripted worker keeps to the rules of the real client, so that it stands for it."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from phantom import GEOMETRIES, make_card, make_labels, make_volume
from scripted_worker import ScriptedWorker

from GDLACore.errors import VolumeError, WorkerError
from GDLACore.options import SegmentOptions
from GDLACore.worker import (
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    Warned,
    WorkerClient,
)

MODEL = ModelRequest("abdomen")
FOUND = make_labels()


def _worker(**settings: int) -> ScriptedWorker:
    return ScriptedWorker(lambda volume: FOUND, make_card(), **settings)


def _segment(worker: ScriptedWorker, options: SegmentOptions, geometry: str = "axial") -> list:
    worker.segment(make_volume(GEOMETRIES[geometry]), MODEL, options)
    events = []
    while worker.busy:
        events += worker.poll()
    return events


def _parameters(client: type) -> dict[str, str]:
    methods = (
        *("start", "load", "unload", "segment", "preview", "cancel", "poll", "close", "log"),
    )
    return {name: str(signature(getattr(client, name))) for name in methods}


def test_it_has_the_face_of_the_real_client():
    def face(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert face(WorkerClient) == face(ScriptedWorker) - {"warn", "fail"}
    assert _parameters(WorkerClient) == _parameters(ScriptedWorker)


def test_labels_come_batch_by_batch_and_never_before_they_are_announced():
    worker = _worker(batch=4)
    job = worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    assert {type(event) for event in worker.poll()} == {Phase}
    (started,) = worker.poll()
    assert isinstance(started, Started) and started.job == job
    assert not started.labels.any()
    (first,) = worker.poll()
    assert first == SlicesDone(job, 0, (0, 1, 2, 3), 4, 6)
    np.testing.assert_array_equal(started.labels[:4], FOUND[:4])
    assert not started.labels[4:].any()
    assert worker.poll() == [SlicesDone(job, 0, (4, 5), 6, 6)]
    np.testing.assert_array_equal(started.labels, FOUND)
    (finished,) = worker.poll()
    assert isinstance(finished, Finished) and finished.cleaned is None
    assert not worker.busy and worker.poll() == []


def test_labels_cannot_be_written():
    (started,) = (e for e in _segment(_worker(), SegmentOptions()) if isinstance(e, Started))
    with pytest.raises(ValueError, match="read-only"):
        started.labels[0] = 1


def test_the_slices_asked_for_come_from_the_focus_outwards_along_the_models_axis():
    options = SegmentOptions(slices=range(1, 6), focus_slice=4, batch_size=1)
    events = _segment(_worker(), options, "coronal storage")
    done = [event for event in events if isinstance(event, SlicesDone)]
    assert {event.axis for event in done} == {1}
    assert [event.indices for event in done] == [(4,), (3,), (5,), (2,), (1,)]


def test_cleaning_up_says_whether_it_changed_what_was_announced():
    events = _segment(_worker(), SegmentOptions(largest_component=True))
    assert events[-1].cleaned.any()
    assert [e.done for e in events if isinstance(e, Phase) and e.phase == "cleaning"] == [1, 2, 3]


def test_a_cancelled_job_stops_at_the_next_poll_and_the_next_job_works():
    worker = _worker()
    job = worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    worker.poll()
    worker.cancel()
    assert worker.poll() == [Stopped(job)]
    assert isinstance(_segment(worker, SegmentOptions())[-1], Finished)


def test_loading_can_be_cancelled():
    worker = _worker()
    worker.load(MODEL)
    worker.cancel()
    assert worker.poll() == [Stopped(None)]


def test_a_failure_ends_the_job_and_a_warning_does_not():
    worker = _worker()
    job = worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    worker.warn("Slow.")
    assert worker.poll()[0] == Warned(job, "Slow.")
    error = WorkerError("The background process ended.")
    worker.fail(error)
    assert worker.poll() == [Failed(job, error)]
    assert not worker.busy


def test_loading_reports_the_card_or_the_failure_that_was_asked_for():
    worker = _worker()
    worker.load(MODEL)
    assert worker.poll() == [Loaded(make_card(), "scripted")]
    error = WorkerError("The background process ended.")
    worker.fail(error)
    worker.load(MODEL)
    assert worker.poll() == [Failed(None, error)]


def test_a_range_outside_the_volume_fails_as_in_the_real_pipeline():
    (failed,) = _segment(_worker(), SegmentOptions(slices=range(4, 9)))[-1:]
    assert isinstance(failed.error, VolumeError)


def test_misuse_raises_at_once():
    worker = _worker()
    worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    with pytest.raises(ValueError, match="running"):
        worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    worker.close()
    worker.close()
    assert worker.poll() == []
    with pytest.raises(ValueError, match="closed"):
        worker.load(MODEL)


def test_the_labels_of_a_job_are_of_no_use_after_the_next_began():
    worker = _worker()
    (started,) = (e for e in _segment(worker, SegmentOptions()) if isinstance(e, Started))
    worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions())
    assert (started.labels == 255).all()


def test_confidence_comes_with_the_labels_and_doubt_with_the_end():
    confidence = np.ones(FOUND.shape)
    confidence[2, 0, :3] = 0.5
    worker = ScriptedWorker(lambda volume: FOUND, make_card(), confidence=lambda volume: confidence)
    events = _segment(worker, SegmentOptions(confidence=True))
    (started,) = (event for event in events if isinstance(event, Started))
    np.testing.assert_array_equal(started.confidence, confidence)
    assert events[-1].doubt.indices == tuple(range(6))
    assert events[-1].doubt.values == (0, 0, 1.5, 0, 0, 0)
    events = _segment(worker, SegmentOptions())
    assert events[-1].doubt is None and not started.confidence.any()


def _preview(worker: ScriptedWorker, *indices: int, geometry: str = "axial") -> int:
    return worker.preview(
        make_volume(GEOMETRIES[geometry]), MODEL, indices, "smooth", key=("node", 1)
    )


def test_a_preview_shows_one_slice_at_each_poll_as_it_lies_in_the_volume():
    worker = _worker()
    job = _preview(worker, 4, 1, geometry="coronal storage")
    assert worker.previewing and not worker.busy
    (first,) = worker.poll()
    assert isinstance(first, Previewed)
    assert (first.job, first.axis, first.index) == (job, 1, 4)
    np.testing.assert_array_equal(first.labels, FOUND[:, 4])
    assert not first.labels.flags.writeable
    second, done = worker.poll()
    assert second.index == 1 and done == PreviewDone(job)
    assert not worker.previewing and worker.poll() == []
    assert worker.previews[-1].indices == (4, 1) and worker.previews[-1].key == ("node", 1)


def test_a_preview_waits_for_jobs_and_previews_and_gives_way_to_a_job():
    worker = _worker()
    preview = _preview(worker, 2)
    with pytest.raises(ValueError, match="preview is outstanding"):
        _preview(worker, 3)
    job = worker.segment(make_volume(GEOMETRIES["axial"]), MODEL, SegmentOptions(), key="a")
    assert job != preview and not worker.previewing and worker.keys == ["a"]
    with pytest.raises(ValueError, match="a job is running"):
        _preview(worker, 3)
    stopped, *rest = worker.poll()
    assert stopped == Stopped(preview) and {event.job for event in rest} == {job}


def test_a_preview_can_be_cancelled_and_can_fail():
    worker = _worker()
    first = _preview(worker, 2)
    worker.cancel()
    assert worker.poll() == [Stopped(first)] and not worker.previewing
    second = _preview(worker, 9)
    (failed,) = worker.poll()
    assert failed.job == second and isinstance(failed.error, VolumeError)
    third = _preview(worker, 1)
    error = WorkerError("The background process ended.")
    worker.fail(error)
    assert worker.poll() == [Failed(third, error)] and not worker.previewing
    with pytest.raises(ValueError, match="no slice"):
        _preview(worker)
