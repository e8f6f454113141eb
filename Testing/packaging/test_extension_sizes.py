"""What is downloaded stays small: the repository with its history, and the extension.

The limits are the project's; the index of 3D Slicer's extensions allows 100 MiB for a clone.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from extension import ROOT, Extension

MEGABYTE = 1_000_000
LARGEST_FILE = 15 * MEGABYTE
CLONE = 60 * MEGABYTE
INSTALLED = 25 * MEGABYTE


def git(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        # The checkout may be another user's, which git would refuse.
        ["git", "-c", "safe.directory=*", "-C", ROOT, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.fixture(scope="module")
def objects() -> list[tuple[int, int, str]]:
    """Every file of the history: its size, its size on the disk, and its path."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is a copy without its history")
    everything = git("rev-list", "--objects", "HEAD")
    form = "--batch-check=%(objectsize) %(objectsize:disk) %(rest)"
    lines = [line.split(" ", 2) for line in git("cat-file", form, given=everything).splitlines()]
    return [(int(size), int(disk), name) for size, disk, name in lines]


def test_no_file_of_the_history_is_large(objects: list[tuple[int, int, str]]) -> None:
    largest = max(objects)
    print(f"the largest is {largest[2]} with {largest[0] / MEGABYTE:.1f} MB")
    assert [name for size, _, name in objects if size > LARGEST_FILE] == []


def test_a_clone_is_small(objects: list[tuple[int, int, str]]) -> None:
    """Packed for the network, objects take less than here, where each may lie by itself."""
    history = sum(disk for _, disk, _ in objects)
    files = git("ls-tree", "-r", "-l", "HEAD").splitlines()
    checkout = sum(int(line.split()[3]) for line in files)
    print(f"{history / MEGABYTE:.1f} MB of history, {checkout / MEGABYTE:.1f} MB of files")
    assert history + checkout < CLONE


def test_the_extension_is_small(extension: Extension) -> None:
    sizes = {file: (extension.modules / file).stat().st_size for file in extension.files()}
    code = sum(size for file, size in sizes.items() if Path(file).suffix in {".py", ".pyc"})
    total = sum(sizes.values())
    print(f"{total / MEGABYTE:.1f} MB in {len(sizes)} files, {code / MEGABYTE:.1f} MB of it code")
    assert total < INSTALLED
