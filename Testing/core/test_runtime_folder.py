"""The folder that ONNX Runtime is installed into: what is in it, and how it goes again."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from GDLACore.errors import InstallationError
from GDLACore.installation import (
    Absent,
    Damaged,
    OtherPython,
    Ready,
    RuntimeFolder,
    SystemFacts,
    build_folders,
)
from GDLACore.installation.build_record import BuildRecord, machine, needed_files, python_tag
from GDLACore.installation.gpu import Gpu
from GDLACore.owned_folder import OwnedFolder

ROOT = Path(__file__).resolve().parents[2]
PYTHON = python_tag()
LIBRARY = "onnxruntime/capi/onnxruntime_pybind11_state.so"


def put_build(
    parent: Path, name: str = f"onnxruntime-1.32.0-{PYTHON}", *, made: float = 1.0, **facts: str
) -> Path:
    """Put a build into ``parent`` as an installation leaves it; ``facts`` are noted otherwise."""
    folder = parent / name
    for file, content in {"onnxruntime/__init__.py": "", LIBRARY: "native"}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    package, version, _ = name.rsplit("-", 2)
    record = BuildRecord(
        package, version, PYTHON, machine(), ("CPU",), 78_000_000, needed_files(folder), made
    )
    dataclasses.replace(record, **facts).write(folder)
    return folder


def test_a_folder_that_does_not_exist_has_nothing_in_it(tmp_path):
    folder = RuntimeFolder(tmp_path / "none")
    assert folder.state() == Absent() and folder.packages is None
    assert folder.state().text == "Not installed"
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_whole_build_is_ready(tmp_path):
    build = put_build(tmp_path)
    folder = RuntimeFolder(tmp_path)
    assert folder.state() == Ready("onnxruntime", "1.32.0", build, 78_000_000, ("CPU",))
    assert folder.state().text == f"onnxruntime 1.32.0, 78 MB in {build}"
    assert folder.packages == build


@pytest.mark.parametrize("file", [LIBRARY, "onnxruntime/__init__.py"])
def test_a_build_without_one_of_its_files_is_damaged(tmp_path, file):
    (put_build(tmp_path) / file).unlink()
    state = RuntimeFolder(tmp_path).state()
    assert isinstance(state, Damaged) and state.text == f"Damaged: {file} is missing."
    assert RuntimeFolder(tmp_path).packages is None


def test_a_build_whose_library_was_cut_off_is_damaged(tmp_path):
    (put_build(tmp_path) / LIBRARY).write_text("nat")
    assert RuntimeFolder(tmp_path).state().text == f"Damaged: {LIBRARY} was changed."


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "\0", '{"package": 1}', "\xff\xfe"],
)
def test_a_build_of_which_nothing_is_known_is_damaged(tmp_path, text):
    record = put_build(tmp_path) / "gdla-build.json"
    record.write_bytes(text.encode("latin-1"))
    state = RuntimeFolder(tmp_path).state()
    assert isinstance(state, Damaged) and state.reason.endswith("was not installed to its end.")


@pytest.mark.parametrize(
    "change",
    [{"files": {}}, {"files": None}, {"providers": 3}, {"made": "x"}, {"files": {"a": "b"}}],
)
def test_a_record_that_someone_changed_does_no_harm(tmp_path, change):
    record = put_build(tmp_path) / "gdla-build.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    assert isinstance(RuntimeFolder(tmp_path).state(), Damaged)


@pytest.mark.parametrize(
    "name, facts, python",
    [
        ("onnxruntime-1.19.2-cp39", {"python": "cp39"}, "3.9"),
        (f"onnxruntime-1.32.0-{PYTHON}", {"machine": "win32-amd64"}, PYTHON[2] + "." + PYTHON[3:]),
    ],
)
def test_a_build_for_another_python_or_computer_is_not_taken(tmp_path, name, facts, python):
    put_build(tmp_path, name, **facts)
    state = RuntimeFolder(tmp_path).state()
    assert isinstance(state, OtherPython) and state.python == python and python in state.text


def test_builds_for_other_pythons_do_not_hide_ours(tmp_path):
    put_build(tmp_path, "onnxruntime-1.99.0-cp399", python="cp399", made=9)
    mine = put_build(tmp_path)
    assert RuntimeFolder(tmp_path).packages == mine


def test_of_two_builds_the_one_installed_last_counts_and_a_whole_one_most(tmp_path):
    put_build(tmp_path, f"onnxruntime-gpu-1.31.1-{PYTHON}", made=1)
    second = put_build(tmp_path, f"onnxruntime-1.23.0-{PYTHON}", made=2)
    third = put_build(tmp_path, f"onnxruntime-1.23.0-{PYTHON}-2", made=3)
    assert RuntimeFolder(tmp_path).packages == third
    (third / LIBRARY).unlink()
    assert RuntimeFolder(tmp_path).packages == second


def test_other_things_in_the_folder_are_neither_builds_nor_removed(tmp_path):
    for name in ("onnxruntime", "thesis-1.0-cp312", ".old-thesis", "onnxruntime-1.0"):
        (tmp_path / name).mkdir()
    (tmp_path / "onnxruntime-notes.txt").write_text("years of work")
    folder = RuntimeFolder(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert folder.state() == Absent()
    folder.remove()
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    folder = RuntimeFolder(tmp_path / "file")
    state = folder.state()
    assert isinstance(state, Damaged) and "cannot be read: Not a directory." in state.reason
    with pytest.raises(InstallationError, match="cannot be removed .* Not a directory"):
        folder.remove()


def swept(parent: Path) -> bool:
    """Return whether ``parent`` becomes empty, once the threads that sweep it are through."""
    for thread in threading.enumerate():
        if thread.name == "gdla-sweep":
            thread.join(60)
    return list(parent.iterdir()) == []


def test_removing_removes_all_builds_of_all_pythons(tmp_path):
    put_build(tmp_path)
    put_build(tmp_path, "onnxruntime-1.19.2-cp39", python="cp39")
    folder = RuntimeFolder(tmp_path)
    folder.remove()
    assert folder.state() == Absent()
    assert swept(tmp_path)


def test_builds_of_which_one_is_in_use_stay_all(tmp_path, monkeypatch):
    """Windows does not rename a folder out of which a library is loaded."""
    put_build(tmp_path)
    put_build(tmp_path, f"onnxruntime-directml-1.24.4-{PYTHON}")
    rename = Path.rename

    def as_windows(path: Path, target: Path) -> Path:
        if "directml" in path.name:
            raise PermissionError(13, "Access is denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", as_windows)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InstallationError, match="Access is denied") as caught:
        RuntimeFolder(tmp_path).remove()
    assert "close its other windows" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_build_does_not_wait_for_an_old_one_that_is_in_use(tmp_path, monkeypatch):
    old = put_build(tmp_path)
    made = put_build(tmp_path / ".new-12345678", "p-1-1").rename(tmp_path / "made")
    rename = Path.rename

    def as_windows(path: Path, target: Path) -> Path:
        if path == old:
            raise PermissionError(13, "Access is denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", as_windows)
    folders = build_folders.BuildFolders(tmp_path)
    record = BuildRecord("onnxruntime", "1.32.0", PYTHON, machine(), (), 9, needed_files(made), 2.0)
    ready = folders.take_in(made, record)
    assert ready.path == tmp_path / f"{old.name}-2" and folders.state() == ready
    assert old.exists()


def test_files_that_a_virus_scanner_holds_for_a_moment_are_waited_for(tmp_path, monkeypatch):
    made = put_build(tmp_path / "work", "p-1-1")
    rename, refusals = Path.rename, [PermissionError(13, "Access is denied")]

    def held(path: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return rename(path, target)

    monkeypatch.setattr(build_folders, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(Path, "rename", held)
    record = BuildRecord("onnxruntime", "1.32.0", PYTHON, machine(), (), 9, needed_files(made), 2.0)
    build_folders.BuildFolders(tmp_path).take_in(made, record)
    assert refusals == [] and RuntimeFolder(tmp_path).packages is not None


def test_what_dead_installations_left_is_swept_away_and_what_lives_stays(tmp_path):
    dead, alive = OwnedFolder(tmp_path, ".new-"), OwnedFolder(tmp_path, ".new-")
    (dead.path / "p").mkdir()
    dead.close()
    put_build(tmp_path / "x").rename(tmp_path / ".old-0123abcd")
    mine = put_build(tmp_path)
    (tmp_path / "x").rmdir()
    build_folders.BuildFolders(tmp_path).sweep()
    assert sorted(tmp_path.iterdir()) == sorted([alive.path, mine])
    alive.remove()


def test_the_cuda_of_another_extension_is_not_counted_on(tmp_path):
    gpu = Gpu("NVIDIA", "NVIDIA GeForce RTX 3060", (581, 42), (8, 6))
    system = SystemFacts("Linux", (2, 35), "x86_64", (3, 12), (gpu,), cuda=13)
    fastest = RuntimeFolder(tmp_path).choices(system)[0]
    assert fastest.requirements == ("onnxruntime-gpu[cuda,cudnn]>=1.28",)


def test_asking_needs_the_standard_library_alone():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import pathlib, GDLACore.installation as i\n"
        "print(i.RuntimeFolder(pathlib.Path('/none')).state().text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("Not installed\n", "")
