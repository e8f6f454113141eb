"""A volume is written once as long as its key says that it is the same, and goes when it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scripted_connection import DEADLINE_S, Clock, ScriptedClient
from worker_conversation import MODEL, bright_volume

from GDLACore.errors import WorkerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker import PreviewDone, Stopped
from GDLACore.worker.array_file import WritingStopped, map_array, write_array
from GDLACore.worker.messages import VolumeFile
from GDLACore.worker.session_files import SessionFiles
from GDLACore.worker.session_folder import SessionFolder

ALL = SegmentOptions()


def go_on(done: int, total: int) -> bool:
    return True


class Files:
    """Session files, asked as the client asks them."""

    def __init__(self, folder: Path) -> None:
        self.session = SessionFolder(folder)
        self.files = SessionFiles(self.session)
        self._number = 0

    def preview(self, key: object, volume: Volume | None = None, go_on=go_on) -> VolumeFile:
        self._number += 1
        return self.files.preview_request(
            self._number, volume or bright_volume(), MODEL, [1], "smooth", key, go_on
        ).volume

    def segment(self, key: object, corrections: dict[int, np.ndarray] | None = None) -> VolumeFile:
        self._number += 1
        return self.files.segment_request(
            self._number, bright_volume(), MODEL, ALL, corrections or {}, key, go_on
        ).volume

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.session.path.glob("*.npy"))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    files.session.remove()


def test_the_same_key_uses_the_file_again_for_slices_and_for_the_whole(files):
    first = files.preview(("node", 1))
    files.files.end_request()
    assert files.preview(("node", 1)) == files.segment(("node", 1)) == first
    assert files.names == ["volume-1.npy"]


def test_another_key_is_another_file_and_the_old_one_goes(files):
    first = files.preview("a")
    other = Volume(bright_volume().array + 1, bright_volume().ijk_to_ras, "CT 6")
    second = files.preview("b", other)
    assert first.array != second.array and files.names == ["volume-2.npy"]
    np.testing.assert_array_equal(map_array(Path(second.array)), other.array)
    assert files.preview("a").array not in (first.array, second.array)


def test_without_a_key_the_volume_is_written_each_time_and_goes_with_its_request(files):
    first = files.segment(None)
    files.files.end_request()
    assert files.names == []
    assert files.segment(None).array != first.array
    files.files.end_request()
    files.preview("a")
    files.segment(None)
    assert files.names == ["volume-4.npy"]


def test_geometry_and_name_are_told_anew_each_time(files):
    first = files.preview("a")
    moved = bright_volume().ijk_to_ras.copy()
    moved[0, 3] += 1
    second = files.preview("a", Volume(bright_volume().array, moved, "renamed"))
    assert second.array == first.array
    assert second.ijk_to_ras != first.ijk_to_ras and second.name == "renamed"


def test_a_file_or_a_folder_that_somebody_removed_is_written_again(files):
    first = files.preview("a")
    Path(first.array).unlink()
    second = files.preview("a")
    assert map_array(Path(second.array)).shape == (6, 7, 8)
    for path in files.session.path.iterdir():
        path.unlink()
    files.session.path.rmdir()
    assert map_array(Path(files.preview("a").array)).shape == (6, 7, 8)


def test_a_volume_whose_writing_was_stopped_is_not_taken_for_written(files):
    with pytest.raises(WritingStopped):
        files.preview("a", go_on=lambda done, total: False)
    assert files.names == []
    np.testing.assert_array_equal(map_array(Path(files.preview("a").array)), bright_volume().array)


def test_a_volume_for_which_there_is_no_room_is_told_and_the_old_one_has_made_room(
    files, monkeypatch
):
    files.preview("a")
    left: list[list[str]] = []

    def no_room(*_: object) -> None:
        left.append(files.names)
        raise WorkerError("There is no room.", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr("GDLACore.worker.session_files.write_array", no_room)
        for _ in range(2):
            with pytest.raises(WorkerError, match="no room"):
                files.preview("b")
    assert left == [[], []]
    assert map_array(Path(files.preview("b").array)).shape == (6, 7, 8)


RESULTS = "labels-1.npy", "labels-1-cleaned.npy", "confidence-1.npy", "corrections-1.npy"


def job_done(files: Files) -> list[np.ndarray]:
    """Ask for a job and return its results, as the client maps them."""
    files.segment("a")
    folder = files.session.path
    for name in RESULTS:
        write_array(folder / name, np.ones(3))
    return [map_array(folder / name) for name in RESULTS]


def test_the_results_of_a_job_go_with_it_and_what_is_mapped_stays_readable(files):
    results = job_done(files)
    files.files.end_request()
    assert files.names == ["volume-1.npy"]
    assert all(result.all() for result in results)


def test_results_that_windows_would_not_remove_are_removed_with_the_next_job(files, monkeypatch):
    job_done(files)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        files.files.end_request()
    files.preview("b")
    assert len(files.names) == 5
    files.segment("b")
    assert files.names == ["volume-2.npy"]


def test_a_volume_that_was_disowned_goes_with_its_request_and_is_written_again(files):
    first = files.preview("a")
    files.files.disown_volume()
    assert Path(first.array).exists(), "the worker may still read it"
    files.files.end_request()
    assert files.names == []
    assert files.preview("a").array != first.array


def test_a_volume_that_windows_would_not_remove_is_removed_with_the_next(files, monkeypatch):
    first = Path(files.preview("a").array)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        files.files.forget_volume()
    assert first.exists()
    files.preview("b")
    assert not first.exists()


def refuse(path: Path, missing_ok: bool = False) -> None:
    raise PermissionError(13, "in use")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedClient]:
    Clock(monkeypatch)  # nothing takes too long
    client = ScriptedClient(tmp_path)
    yield client
    client.close()


def preview_done(client: ScriptedClient, key: object) -> VolumeFile:
    """Show a slice and return which file was asked about."""
    job = client.preview(bright_volume(), MODEL, [1], "smooth", key=key)
    client.present.greet()
    client.poll_until(lambda events: any(getattr(c, "job", 0) == job for c in client.present.asked))
    client.present.say(PreviewDone(job))
    client.poll_until(lambda events: events[-1:] == [PreviewDone(job)])
    return client.present.asked[-1].volume


def test_a_worker_that_leaves_takes_the_volume_with_it(client):
    first = preview_done(client, "a")
    assert Path(first.array).exists()
    client.present.leave()
    client.poll_until(lambda events: not Path(first.array).exists())
    assert preview_done(client, "a").array != first.array


def test_a_worker_that_dies_while_nothing_is_asked_of_it_takes_the_volume_with_it(client):
    first = preview_done(client, "a")
    client.present.die()
    client.poll_until(lambda events: not Path(first.array).exists())
    assert len(client.workers) == 1
    assert preview_done(client, "a").array != first.array


def test_a_volume_that_is_to_be_forgotten_goes_at_once_if_nothing_is_going_on(client):
    first = preview_done(client, "a")
    client.forget()
    client.poll_until(lambda events: not Path(first.array).exists())
    assert preview_done(client, "a").array != first.array


def test_a_volume_that_is_to_be_forgotten_while_it_is_asked_about_goes_when_that_is_over(client):
    first = preview_done(client, "a")
    job = client.segment(bright_volume(), MODEL, ALL, key="a")
    client.poll_until(lambda events: client.present.asked[-1].job == job)
    client.forget()
    forgotten = threading.Event()
    client._background.do(forgotten.set)
    assert forgotten.wait(DEADLINE_S) and Path(first.array).exists()
    client.present.say(Stopped(job))
    client.poll_until(lambda events: not Path(first.array).exists())


def test_forgetting_makes_no_folder_and_can_be_done_at_any_time(client, tmp_path):
    client.forget()
    client.start()
    client.forget()
    assert list(tmp_path.iterdir()) == []
    client.close()
    client.forget()


def test_a_preview_of_a_volume_without_a_key_leaves_no_file(client):
    volume = preview_done(client, None)
    client.poll_until(lambda events: not Path(volume.array).exists())


def test_a_job_that_was_cancelled_while_it_was_written_leaves_no_file_for_its_key(client):
    job = client.segment(bright_volume(), MODEL, ALL, key="a")
    client.cancel()
    events = client.poll_until(lambda events: not client.busy or client.present.asked)
    if client.busy:
        client.present.say(Stopped(job))
        events += client.poll()
    assert Stopped(job) in events
    np.testing.assert_array_equal(
        map_array(Path(preview_done(client, "a").array)), bright_volume().array
    )
