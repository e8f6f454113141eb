"""A session's folder is private, goes with its owner, and nothing else ever goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from GDLACore.errors import WorkerError
from GDLACore.worker.session_folder import (
    SessionFolder,
    clear_abandoned,
    clear_when_abandoned,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def orphan(tmp_path: Path) -> Path:
    """A folder with a file in it whose owner does not hold it any more."""
    folder = SessionFolder(tmp_path)
    (folder.path / "volume-1.npy").write_bytes(b"voxels")
    folder._owner.close()
    return folder.path


def test_nothing_is_made_before_it_is_needed(tmp_path):
    folder = SessionFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert folder.path == folder.path
    assert list(tmp_path.iterdir()) == [folder.path]


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps its temporary folder private")
def test_no_other_user_can_look_inside(tmp_path):
    assert stat.S_IMODE(SessionFolder(tmp_path).path.stat().st_mode) == 0o700


def test_removing_it_removes_what_is_in_it(tmp_path):
    folder = SessionFolder(tmp_path)
    (folder.path / "volume-1.npy").write_bytes(b"voxels")
    folder.remove()
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_after_it_was_removed_there_is_no_other(tmp_path):
    folder = SessionFolder(tmp_path)
    folder.remove()
    with pytest.raises(WorkerError, match="closed"):
        folder.path  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_all_threads_get_the_same_folder(tmp_path):
    folder, found = SessionFolder(tmp_path), []
    threads = [threading.Thread(target=lambda: found.append(folder.path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8 and len(set(found)) == 1


def test_the_folder_of_a_killed_process_is_cleared_away_but_not_before(tmp_path):
    program = (
        "import pathlib, sys; from GDLACore.worker.session_folder import SessionFolder\n"
        "folder = SessionFolder(pathlib.Path(sys.argv[1]))\n"
        "(folder.path / 'volume-1.npy').write_bytes(b'voxels')\n"
        "print(folder.path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        orphan = Path(owner.stdout.readline().rstrip("\n"))
        clear_abandoned(tmp_path)
        assert (orphan / "volume-1.npy").exists()
        owner.kill()
    path = SessionFolder(tmp_path).path
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_of_another_client_in_this_process_stays(tmp_path):
    first, second = SessionFolder(tmp_path), SessionFolder(tmp_path)
    assert first.path.exists() and second.path.exists()
    clear_abandoned(tmp_path)
    assert first.path.exists() and second.path.exists()


def test_a_folder_whose_owner_is_just_taking_it_stays(orphan, tmp_path):
    (orphan / "owner").write_bytes(b"")
    clear_abandoned(tmp_path)
    assert orphan.exists()


@pytest.mark.parametrize(
    "name",
    ["GDLA-session-1234567", "GDLA-session-12345678x", "GDLA-12345678", "GDLA-session-a.b.c.d"],
)
def test_folders_of_other_names_stay(orphan, tmp_path, name):
    other = tmp_path / name
    orphan.rename(other)
    clear_abandoned(tmp_path)
    assert (other / "volume-1.npy").exists()


def test_a_folder_of_that_name_without_an_owners_file_stays(tmp_path):
    other = tmp_path / "GDLA-session-12345678"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    clear_abandoned(tmp_path)
    assert (other / "thesis.txt").exists()


def test_a_folder_with_an_owners_file_of_someone_else_stays(tmp_path):
    other = tmp_path / "GDLA-session-12345678"
    other.mkdir()
    (other / "owner").write_text("Dr. Somebody Else, who keeps his theses here for years\n")
    clear_abandoned(tmp_path)
    assert (other / "owner").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows lets few users make links")
def test_links_are_neither_followed_nor_removed(orphan, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    orphan.rename(elsewhere)
    link = tmp_path / "GDLA-session-12345678"
    link.symlink_to(elsewhere)
    clear_abandoned(tmp_path)
    assert link.is_symlink() and (elsewhere / "volume-1.npy").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows lets few users make links")
def test_what_a_link_in_the_folder_points_to_stays(orphan, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    (orphan / "link").symlink_to(precious)
    clear_abandoned(tmp_path)
    assert not orphan.exists() and (precious / "thesis.txt").exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no such numbers")
def test_the_folder_of_another_user_stays(orphan, tmp_path, monkeypatch):
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    clear_abandoned(tmp_path)
    assert orphan.exists()


def test_an_owner_that_is_alive_is_waited_for_no_longer_than_agreed(tmp_path):
    folder = SessionFolder(tmp_path)
    clear_when_abandoned(folder.path, 0.05)
    assert folder.path.exists()


def test_an_owner_that_dies_meanwhile_is_waited_for(tmp_path):
    folder = SessionFolder(tmp_path)
    path = folder.path
    threading.Timer(0.05, folder._owner.close).start()
    clear_when_abandoned(path, 60)
    assert not path.exists()


def test_a_parent_that_is_missing_is_told(tmp_path):
    with pytest.raises(WorkerError, match=r"No folder .* can be made in .*nowhere: No such file"):
        SessionFolder(tmp_path / "nowhere").path  # noqa: B018


def test_a_very_long_path_with_foreign_letters_will_do(tmp_path):
    parent = tmp_path / ("é 中文 " * 12) / ("x" * 150)
    parent.mkdir(parents=True)
    folder = SessionFolder(parent)
    assert len(str(folder.path)) > 200 and (folder.path / "owner").exists()
    folder.remove()
    assert list(parent.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_the_lock_is_not_inherited_by_programs_that_the_owner_starts(tmp_path):
    folder = SessionFolder(tmp_path)
    path = folder.path
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        folder._owner.close()
        clear_abandoned(tmp_path)
        child.communicate(b"\n")
    assert not path.exists()


def test_a_folder_that_a_cleaner_has_removed_is_made_again(tmp_path):
    session = SessionFolder(tmp_path)
    first = session.path
    shutil.rmtree(first)
    second = session.path
    assert second.is_dir() and second != first
    session.remove()
    assert list(tmp_path.iterdir()) == []
