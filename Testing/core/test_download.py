"""A download from a real server: whole, continued, or refused, but never a wrong file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, hang_up, served, status, whole

from GDLACore.errors import Cancelled, DownloadError
from GDLACore.storage import Control, RemoteFile, download
from GDLACore.storage.download import Patience
from GDLACore.storage.part import PartFile, part_path

BODY = np.random.default_rng(5).bytes(3_000_000)
DEADLINE_S = 60
HASTE = Patience(connect=DEADLINE_S, stall=DEADLINE_S, other=0.4, attempts=(0, 0))
CUT = 1_200_000


@pytest.fixture
def server() -> Iterator[FileServer]:
    with served(BODY) as server:
        yield server


def remote(server: FileServer, *, content: bytes = BODY, size: int | None = None) -> RemoteFile:
    return RemoteFile("model.ckpt", server.url, hashlib.sha256(content).hexdigest(), size)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".checks.json"}


def refusal(
    file: RemoteFile, folder: Path, patience: Patience = HASTE, control: Control | None = None
) -> DownloadError:
    """Return the error of a download that fails: one line that names the address, and a hint."""
    with pytest.raises(DownloadError) as caught:
        download(file, folder, control, patience)
    error = caught.value
    assert file.url in error.message and error.message.endswith(".")
    assert error.hint.endswith(".") and "\n" not in f"{error.message}{error.hint}"
    return error


def test_the_file_comes_whole_and_nothing_else_stays(tmp_path, server):
    folder = tmp_path / "new" / "models"
    seen = []
    control = Control(lambda *progress: seen.append(progress))
    path = download(remote(server, size=len(BODY)), folder, control)
    assert path.read_bytes() == BODY and files(folder) == {"model.ckpt"}
    done = [done for phase, done, _ in seen if phase == "downloading"]
    assert done == sorted(done) and done[-1] == len(BODY)
    assert {total for phase, _, total in seen if phase == "downloading"} == {len(BODY)}


def test_a_file_that_is_there_is_not_fetched_again(tmp_path, server):
    (tmp_path / "model.ckpt").write_bytes(BODY)
    download(remote(server), tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("old", [b"", b"damaged"])
def test_a_wrong_file_is_replaced(tmp_path, server, old):
    (tmp_path / "model.ckpt").write_bytes(old)
    assert download(remote(server), tmp_path).read_bytes() == BODY


def test_a_server_need_not_tell_the_length(tmp_path, server):
    server.script = [whole(told_length=False)]
    assert download(remote(server), tmp_path).read_bytes() == BODY


def test_trouble_that_passes_is_waited_for(tmp_path, server):
    server.script = [status(503), hang_up]
    assert download(remote(server), tmp_path, patience=HASTE).read_bytes() == BODY


def test_progress_gives_a_poor_connection_more_attempts(tmp_path, server):
    server.body = BODY * 2
    file = remote(server, content=server.body)
    server.script = [whole(cut_after=CUT) for _ in range(4)]
    assert download(file, tmp_path, patience=Patience(attempts=(0,))).read_bytes() == server.body


def test_a_connection_that_is_always_cut_is_given_up(tmp_path, server):
    server.script = [whole(cut_after=n) for n in (50, 50, 50)]
    error = refusal(remote(server), tmp_path)
    assert "was lost: it ended after 0.0 of 3.0 MB" in error.message
    assert "goes on where it stopped" in error.hint
    assert part_path(tmp_path / "model.ckpt").stat().st_size == 150


def test_a_server_that_says_no_more_is_left(tmp_path, server, monkeypatch):
    wires: list[socket.socket] = []
    connect = socket.create_connection

    def connected(*arguments: object) -> socket.socket:
        wires.append(connect(*arguments))
        return wires[-1]

    def impatient_at_the_end(phase: str, done: int, _: int | None) -> None:
        if (phase, done) == ("downloading", CUT):
            assert wires[-1].gettimeout() == DEADLINE_S
            wires[-1].settimeout(0.05)

    monkeypatch.setattr(socket, "create_connection", connected)
    server.script = [whole(hang_after=CUT)]
    patience = Patience(stall=DEADLINE_S, attempts=())
    error = refusal(remote(server), tmp_path, patience, Control(impatient_at_the_end))
    assert "no answer for too long" in error.message
    assert part_path(tmp_path / "model.ckpt").stat().st_size == CUT


def test_another_content_is_refused_and_not_kept(tmp_path, server):
    server.body = BODY[::-1]
    (tmp_path / "model.ckpt").write_bytes(b"older")
    error = refusal(remote(server), tmp_path)
    assert hashlib.sha256(server.body).hexdigest() in error.message
    assert (tmp_path / "model.ckpt").read_bytes() == b"older"
    assert files(tmp_path) == {"model.ckpt"}


def test_another_size_is_refused_before_anything_is_fetched(tmp_path, server):
    error = refusal(remote(server, size=len(BODY) + 1), tmp_path)
    assert f"has {len(BODY)} bytes instead of the {len(BODY) + 1}" in error.message


def test_more_than_was_published_is_not_taken(tmp_path, server):
    server.script = [whole(told_length=False)]
    error = refusal(remote(server, size=1000), tmp_path)
    assert "gives more than the 1000 bytes" in error.message
    assert files(tmp_path) == set()


def test_a_disk_that_is_too_full_is_told_before_anything_is_fetched(tmp_path, server, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 2_000_000))
    error = refusal(remote(server), tmp_path)
    assert "needs 70 MB of space" in error.message and "where 2 MB are free" in error.message
    assert "GDLA_MODEL_DIR" in error.hint


def test_a_disk_that_becomes_full_keeps_the_beginning(tmp_path, server, monkeypatch):
    write = PartFile.write

    def full(part: PartFile, chunk: bytes) -> None:
        if part.size > CUT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(part, chunk)

    monkeypatch.setattr(PartFile, "write", full)
    error = refusal(remote(server), tmp_path)
    assert "cannot be stored" in error.message and "No space left" in error.message
    assert "Free some space" in error.hint
    assert part_path(tmp_path / "model.ckpt").stat().st_size > CUT
    monkeypatch.undo()
    assert download(remote(server), tmp_path).read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_told(tmp_path, server):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="models cannot be made: it is not a folder") as caught:
        download(remote(server), tmp_path / "file" / "models")
    assert "GDLA_MODEL_DIR" in caught.value.hint


def test_a_folder_that_may_not_be_written_is_told(tmp_path, server, monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    error = refusal(remote(server), tmp_path)
    assert "cannot be stored" in error.message and "Permission denied" in error.message
    assert server.requests == []


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path, server):
    (tmp_path / "model.ckpt").mkdir()
    error = refusal(remote(server), tmp_path)
    assert "cannot be stored" in error.message
    assert (tmp_path / "model.ckpt.part").exists()


@pytest.mark.parametrize("behaviour", [{}, {"told_length": False}])
def test_a_cancelled_download_ends_at_once_and_can_be_continued(tmp_path, server, behaviour):
    server.script = [whole(hang_after=CUT, **behaviour)]
    all_has_come = threading.Event()
    control = Control(lambda phase, done, total: done == CUT and all_has_come.set())
    caught: list[BaseException] = []

    def work() -> None:
        try:
            download(remote(server), tmp_path, control, Patience(stall=10 * DEADLINE_S))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert all_has_come.wait(DEADLINE_S)
    control.cancel()
    thread.join(DEADLINE_S)
    assert [type(error) for error in caught] == [Cancelled]
    server.requests.clear()
    assert download(remote(server), tmp_path).read_bytes() == BODY
    assert server.requests[0].get("Range") == f"bytes={CUT}-"


def test_a_download_that_is_cancelled_before_it_begins_asks_nobody(tmp_path, server):
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        download(remote(server), tmp_path, control)
    assert server.requests == []


def test_two_downloads_of_one_file_fetch_it_once(tmp_path, server):
    gate = threading.Event()
    server.script = [_held(gate)]
    first = threading.Thread(target=download, args=(remote(server), tmp_path), daemon=True)
    first.start()
    assert server.reached.wait(DEADLINE_S)
    waiting = threading.Event()

    def second_waits(phase: str, *_: object) -> None:
        if phase == "waiting":
            waiting.set()
            gate.set()

    path = download(remote(server), tmp_path, Control(second_waits), Patience(other=DEADLINE_S))
    first.join(DEADLINE_S)
    assert waiting.is_set() and len(server.requests) == 1
    assert path.read_bytes() == BODY and files(tmp_path) == {"model.ckpt"}


def test_a_download_does_not_wait_for_another_for_ever(tmp_path, server):
    server.script = [whole(hang_after=CUT)]
    control = Control()
    first = threading.Thread(target=_quiet, args=(remote(server), tmp_path, control), daemon=True)
    first.start()
    assert server.reached.wait(DEADLINE_S)
    assert "being downloaded already" in refusal(remote(server), tmp_path).message
    control.cancel()
    first.join(DEADLINE_S)


def _held(gate: threading.Event):
    """Serve the file once ``gate`` is open."""

    def behave(handler: object) -> None:
        handler.server.reached.set()
        gate.wait(DEADLINE_S)
        whole()(handler)

    return behave


def _quiet(file: RemoteFile, folder: Path, control: Control) -> None:
    try:
        download(file, folder, control)
    except Cancelled:
        pass
