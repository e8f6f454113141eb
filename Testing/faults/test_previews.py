"""Previews by a real process: what goes wrong with it costs one preview and no more."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from observer import FAULTY, MODEL, SLOW_MODEL, Observer, ct, is_running, wait_until

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.worker import (
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    Phase,
    PreviewDone,
    Previewed,
    Started,
    Stopped,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signals")

CT = ct()


def preview(
    observer: Observer,
    *indices: int,
    volume: Volume = CT,
    key: object = "a",
    borders: str = "smooth",
    model: ModelRequest = MODEL,
) -> list:
    """Show slices, and return what was said of that."""
    said = len(observer.events)
    job = observer.client.preview(volume, model, indices, borders, key=key)
    observer.until(lambda: not observer.client.previewing)
    events = [event for event in observer.events[said:] if getattr(event, "job", None) == job]
    assert isinstance(events[-1], (PreviewDone, Failed, Stopped))
    return events


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("GDLA-session-*/*.npy"))


def test_slices_come_out_of_a_file_that_is_written_once(observe, tmp_path):
    observer: Observer = observe()
    for index in 1, 2, 4:
        shown, done = preview(observer, index)[-2:]
        assert (shown.axis, shown.index, done) == (0, index, PreviewDone(shown.job))
        np.testing.assert_array_equal(shown.labels, CT.array[index] > 0)
        assert files(tmp_path / "temporary") == ["volume-1.npy"]
    other = Volume(CT.array[:, ::-1], CT.ijk_to_ras, "CT 6", "CT")
    np.testing.assert_array_equal(
        preview(observer, 2, volume=other, key="b")[-2].labels, other.array[2] > 0
    )
    assert files(tmp_path / "temporary") == ["volume-4.npy"]
    assert len(observer.pids) == 1


def test_a_segmentation_right_after_a_preview_uses_its_file(observe, tmp_path):
    observer: Observer = observe()
    preview(observer, 1)
    job = observer.client.preview(CT, MODEL, [2], "smooth", key="a")
    observer.client.segment(CT, MODEL, FAULTY, key="a")
    assert isinstance(observer.ends(), Stopped)  # the preview
    assert isinstance(observer.ends(), Finished)
    (started,) = (event for event in observer.events if isinstance(event, Started))
    np.testing.assert_array_equal(started.labels, CT.array > 0)
    later = observer.events[observer.events.index(started) :]
    assert all(event.job == started.job != job for event in later)
    assert not any(isinstance(event, Phase) and event.phase == "writing" for event in later)
    observer.until(lambda: files(tmp_path / "temporary") == ["volume-1.npy"])  # labels are gone
    assert preview(observer, 4)[-2].index == 4


@pytest.mark.parametrize(("fault", "word"), [("die", "SIGKILL"), ("crash", "SIGSEGV")])
def test_a_worker_that_dies_in_the_middle_is_told_and_replaced(observe, tmp_path, fault, word):
    observer: Observer = observe(fault)
    *shown, failed = preview(observer, 1, 2, 3, 4, borders="published")
    assert [event.index for event in shown if isinstance(event, Previewed)] == [1, 2]
    assert isinstance(failed, Failed) and word in failed.error.message
    observer.heard(Loaded)  # as warm as the one before
    assert [type(event) for event in preview(observer, 1)] == [Previewed, PreviewDone]
    assert files(tmp_path / "temporary") == ["volume-1.npy"]
    assert len(observer.pids) == 2


def test_a_worker_killed_unseen_is_replaced_and_the_preview_comes(observe):
    observer: Observer = observe()
    preview(observer, 1)
    first = observer.client.pid
    os.kill(first, signal.SIGKILL)
    assert isinstance(preview(observer, 2)[-1], PreviewDone)
    assert observer.pids > {first}


def test_a_preview_that_does_not_stop_is_killed(observe):
    observer: Observer = observe("compute_forever", cancel_s=0.3)
    job = observer.client.preview(CT, MODEL, [1, 2, 3], "published", key="a")
    observer.at_fault()
    worker = observer.client.pid
    observer.client.cancel()
    assert observer.ends() == Stopped(job)
    wait_until(lambda: not is_running(worker))
    assert isinstance(preview(observer, 1)[-1], PreviewDone)


def test_a_preview_that_waits_for_a_model_is_cancelled_with_it(observe):
    observer: Observer = observe()
    observer.client.load(SLOW_MODEL)
    observer.heard(Phase)
    job = observer.client.preview(CT, MODEL, [1], "smooth", key="a")
    observer.client.cancel()
    assert isinstance(observer.ends(), Stopped) and isinstance(observer.ends(), Stopped)
    assert not observer.client.previewing and observer.events[-1].job in (None, job)
    assert isinstance(preview(observer, 1)[-1], PreviewDone)


def test_a_volume_that_does_not_suit_is_told_and_the_next_one_shown(observe):
    observer: Observer = observe()
    photograph = Volume(np.zeros((6, 7, 8, 3), np.uint8), np.eye(4), "photo")
    failed = preview(observer, 1, volume=photograph)[-1]
    assert type(failed.error) is VolumeError
    assert failed.error.message.startswith("photo is a colour image")
    assert isinstance(preview(observer, 1, key="b")[-1], PreviewDone)
    assert len(observer.pids) == 1


def test_an_idle_worker_leaves_without_the_volume(observe, tmp_path):
    observer: Observer = observe(idle_minutes=0.005)
    preview(observer, 1)
    observer.until(lambda: observer.client.pid is None and not files(tmp_path / "temporary"))
    wait_until(lambda: not any(map(is_running, observer.pids)))
    assert isinstance(preview(observer, 2)[-1], PreviewDone)
    observer.client.close()


def test_a_disk_that_holds_one_volume_shows_one_after_the_other(observe, small_disk):
    observer: Observer = observe(folder=small_disk)
    volumes = [ct((50, 200, 100 + number)) for number in range(3)]  # 2 MB of 3
    for _ in range(2):
        for number, volume in enumerate(volumes):
            assert isinstance(preview(observer, 2, volume=volume, key=number)[-1], PreviewDone)
    large = preview(observer, 2, volume=ct((50, 200, 200)), key="large")[-1]
    assert "There is no room for 4 MB" in large.error.message
    assert isinstance(preview(observer, 2, volume=volumes[0], key=0)[-1], PreviewDone)
    observer.client.close()
    assert list(small_disk.iterdir()) == []
