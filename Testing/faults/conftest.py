"""What the tests with real processes share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The tests' volumes, cards and models serve here too.
sys.path.append(str(Path(__file__).parent.parent / "core"))

from observer import Observer, faulty_worker, is_running, wait_until
from tiny_model import write_tiny_model


@pytest.fixture
def observe(tmp_path: Path) -> Iterator[Callable[..., Observer]]:
    """Return a function that makes a client whose worker has a fault, to be closed at the end.

    Neither a process nor a file may be left then.
    """
    folder = tmp_path / "temporary"
    folder.mkdir()
    observers: list[Observer] = []

    def observe(fault: str = "none", **settings: object) -> Observer:
        settings.setdefault("python", faulty_worker(fault))
        settings.setdefault("folder", folder)
        observers.append(Observer(**settings))
        return observers[-1]

    yield observe
    for observer in observers:
        observer.client.close()
        # It kills what does not end, but waits no longer than Slicer's user would.
        wait_until(lambda pids=observer.pids: not any(map(is_running, pids)))
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest real model; to be copied before it is changed."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB; only an administrator can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "gdla-test", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    # Lazily, for the labels that the test has seen may still be in its memory.
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
