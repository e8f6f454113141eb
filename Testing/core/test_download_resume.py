"""A download that was cut goes on where it stopped, and ends with the right file."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, served, whole

from GDLACore.errors import DownloadError
from GDLACore.storage import Control, RemoteFile, Task, download
from GDLACore.storage.download import Patience
from GDLACore.storage.part import locked_part, note_path, part_path

BODY = np.random.default_rng(5).bytes(3_000_000)
DEADLINE_S = 60
HASTE = Patience(connect=DEADLINE_S, stall=DEADLINE_S, other=0.4, attempts=(0, 0))
CUT = 1_200_000
MODIFIED = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with served(BODY) as server:
        yield server


def remote(server: FileServer, *, content: bytes = BODY, size: int | None = None) -> RemoteFile:
    return RemoteFile("model.ckpt", server.url, hashlib.sha256(content).hexdigest(), size)


def begin(folder: Path, server: FileServer, count: int = CUT, **behaviour: object) -> None:
    """Leave the first ``count`` bytes of a download behind."""
    server.script = [whole(cut_after=count, **behaviour)]
    with pytest.raises(DownloadError):
        download(remote(server), folder, patience=Patience(attempts=()))
    server.requests.clear()
    assert part_path(folder / "model.ckpt").stat().st_size == count


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".checks.json"}


@pytest.mark.parametrize(
    ("behaviour", "validator"),
    [
        ({"tag": '"abc"'}, '"abc"'),
        ({"tag": None, "modified": MODIFIED}, MODIFIED),
        ({"tag": None}, None),
    ],
)
def test_after_a_cut_only_the_rest_is_fetched(tmp_path, server, behaviour, validator):
    server.script = [whole(cut_after=CUT, **behaviour), whole(**behaviour)]
    assert download(remote(server), tmp_path, patience=HASTE).read_bytes() == BODY
    first, second = server.requests
    assert "Range" not in first
    assert (second["Range"], second.get("If-Range")) == (f"bytes={CUT}-", validator)


def test_a_weak_tag_is_not_relied_on(tmp_path, server):
    server.script = [whole(cut_after=CUT, tag='W/"1"'), whole(tag='W/"1"')]
    assert download(remote(server), tmp_path, patience=HASTE).read_bytes() == BODY
    assert "If-Range" not in server.requests[1]


def test_a_later_download_goes_on_where_an_earlier_one_stopped(tmp_path, server):
    begin(tmp_path, server, tag='"abc"')
    server.script = [whole(tag='"abc"')]
    assert download(remote(server), tmp_path).read_bytes() == BODY
    assert server.requests[0]["Range"] == f"bytes={CUT}-"
    assert server.requests[0]["If-Range"] == '"abc"'
    assert files(tmp_path) == {"model.ckpt"}


def test_a_file_that_changed_on_the_server_is_fetched_from_its_beginning(tmp_path, server):
    begin(tmp_path, server, tag='"old"', body=bytes(len(BODY)))
    server.script = [whole(tag='"new"')]
    assert download(remote(server), tmp_path).read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_server_without_ranges_sends_everything_again(tmp_path, server):
    begin(tmp_path, server)
    server.script = [whole(ranges=False)]
    assert download(remote(server), tmp_path).read_bytes() == BODY


def test_a_beginning_that_was_damaged_is_fetched_again(tmp_path, server):
    begin(tmp_path, server)
    with part_path(tmp_path / "model.ckpt").open("r+b") as part:
        part.write(b"damage")
    assert download(remote(server), tmp_path).read_bytes() == BODY
    assert [r.get("Range") for r in server.requests] == [f"bytes={CUT}-", None]


def test_a_beginning_of_another_file_is_thrown_away(tmp_path, server):
    begin(tmp_path, server)
    server.body = BODY[::-1]
    other = remote(server, content=server.body)
    assert download(other, tmp_path).read_bytes() == server.body
    assert "Range" not in server.requests[0]


@pytest.mark.parametrize("note", [b"", b"[]", b"{", b"\xff", b'{"sha256": 3}'])
def test_a_damaged_note_costs_only_time(tmp_path, server, note):
    begin(tmp_path, server)
    note_path(tmp_path / "model.ckpt").write_bytes(note)
    assert download(remote(server), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("size", [None, len(BODY)])
def test_a_complete_beginning_needs_no_more_than_its_name(tmp_path, server, size):
    begin(tmp_path, server)
    part_path(tmp_path / "model.ckpt").write_bytes(BODY)
    assert download(remote(server, size=size), tmp_path).read_bytes() == BODY
    assert len(server.requests) == (1 if size is None else 0)  # to learn that there is no more


def test_a_beginning_longer_than_the_file_is_thrown_away(tmp_path, server):
    begin(tmp_path, server)
    part_path(tmp_path / "model.ckpt").write_bytes(BODY + b"more")
    assert download(remote(server), tmp_path, patience=HASTE).read_bytes() == BODY


def test_a_server_that_sends_another_part_is_asked_for_everything(tmp_path, server):
    begin(tmp_path, server)

    def wrong(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.script = [wrong]
    assert download(remote(server), tmp_path, patience=HASTE).read_bytes() == BODY


def test_a_download_goes_on_after_the_program_was_killed(tmp_path, server):
    server.script = [whole(hang_after=CUT)]
    code = (
        "import sys; from pathlib import Path; from GDLACore.storage import RemoteFile, download; "
        "download(RemoteFile(*sys.argv[1:4]), Path(sys.argv[4]))"
    )
    file, root = remote(server), Path(__file__).resolve().parents[2]
    arguments = [file.name, file.url, file.sha256, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=root) as program:
        assert server.reached.wait(DEADLINE_S)
        part, deadline = part_path(tmp_path / file.name), time.monotonic() + DEADLINE_S
        while part.stat().st_size < CUT // 2:  # what it has written by now is in no one's hands
            assert time.monotonic() < deadline
        program.kill()
    begun = part.stat().st_size
    server.requests.clear()
    assert download(file, tmp_path, patience=HASTE).read_bytes() == BODY
    assert server.requests[0]["Range"] == f"bytes={begun}-"


def test_a_download_that_was_left_while_it_connected_does_not_hinder_the_next(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/model.ckpt"
        left = replace(remote(server), url=url)
        slow = Patience(connect=1, attempts=())
        task = Task(lambda control: download(left, tmp_path, control, slow), cancel_s=0.05)
        silent.settimeout(DEADLINE_S)
        with silent.accept()[0]:  # connected, and never answered
            task.cancel()
            while task.active:
                task.poll()
            patience = Patience(other=DEADLINE_S)
            assert download(remote(server), tmp_path, patience=patience).read_bytes() == BODY


def test_a_file_that_another_download_has_put_in_its_place_is_as_good(tmp_path, server):
    target = tmp_path / "model.ckpt"
    with locked_part(remote(server), target, Control(), 1) as part:
        part.write(BODY)
        part_path(target).rename(target)
        part.become_target(Control())
    assert target.read_bytes() == BODY
