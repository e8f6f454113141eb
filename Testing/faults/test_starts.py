"""What keeps a worker from starting is told once, and when it is mended the next request works."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from observer import FAULTY, NO_SENSE, Observer, ct

from GDLACore.errors import WorkerError
from GDLACore.worker import Failed, Finished, LaunchError, supervisor

NO_PACKAGE = "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that is there as long as the worker's start fails."""
    path = tmp_path / "broken"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (
            "import_what_is_missing",
            f'The background process ended with exit code 1, saying "{NO_PACKAGE}".',
            "Install the program and the packages that it needs again.",
        ),
        (
            "speak_another_version",
            f"{NO_SENSE} has version 2 instead of 3.",
            "install it again and restart Slicer",
        ),
        (
            "speak_no_protocol",
            f"{NO_SENSE} is not JSON: b'Python 2.7.18 (default)\\n'.",
            "Try again",
        ),
        ("say_nothing", "The background process did not start within 1 seconds.", "Try again"),
    ],
)
def test_a_worker_that_does_not_come_up_is_told(observe, broken, monkeypatch, fault, message, hint):
    patience = supervisor._START_S
    if fault == "say_nothing":
        monkeypatch.setattr(supervisor, "_START_S", 1.0)
    observer: Observer = observe(f"{fault}:{broken}")
    observer.client.start()
    failed = observer.ends()
    assert (failed.job, failed.error.message) == (None, message)
    assert hint in failed.error.hint
    assert isinstance(observer.segment(FAULTY), Failed)
    monkeypatch.setattr(supervisor, "_START_S", patience)
    broken.unlink()
    assert isinstance(observer.segment(), Finished)


def test_a_program_that_is_missing_is_told(observe, tmp_path):
    observer: Observer = observe(python=[str(tmp_path / "PythonSlicer")])
    error = observer.error()
    assert type(error) is LaunchError and isinstance(error, WorkerError)
    assert error.message == (
        f"The background process could not be started with {tmp_path / 'PythonSlicer'}: "
        "No such file or directory."
    )
    (tmp_path / "PythonSlicer").symlink_to(sys.executable)


@pytest.mark.skipif(os.name != "posix", reason="Windows goes by the file's name")
def test_a_program_that_may_not_be_run_is_told_and_works_once_it_may(observe, tmp_path):
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o644)
    observer: Observer = observe(python=[str(launcher)])
    observer.client.start()
    failed = observer.ends()
    assert type(failed.error) is LaunchError
    assert failed.error.message.endswith("Permission denied.")
    launcher.chmod(0o755)
    observer.client.start()
    observer.until(lambda: observer.client.pid is not None)


def test_a_folder_for_temporary_files_that_is_missing_is_told(tmp_path):
    observer = Observer(folder=tmp_path / "nowhere")
    failed = observer.segment(volume=ct())
    assert failed.error.message == (
        f"No folder for temporary files can be made in {tmp_path / 'nowhere'}: "
        "No such file or directory."
    )
    (tmp_path / "nowhere").mkdir()
    observer.client.start()
    observer.until(lambda: observer.client.pid is not None)
    observer.client.close()
    assert list((tmp_path / "nowhere").iterdir()) == []
